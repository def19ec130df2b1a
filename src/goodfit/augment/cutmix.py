"""A rectangle of another image, pasted; the labels by area. Letters: B batch, H height, W width."""

from __future__ import annotations

import torch
from torch import Tensor

from goodfit.augment.base import Mixing
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class CutMix(Mixing):
    """A rectangle of about (1 - lambda) of the image comes from the partner.

    CutMix (Yun et al. 2019, arXiv 1905.04899): the middle of the rectangle is uniform over the
    image, what would lie outside is cut off, and targets are mixed by the pixels that are there.
    """

    inputs = ("image",)

    def mixed(
        self, batch: Batch, partner: Batch, own: Tensor, numbers: PerSampleRandom
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Images (B, C, H, W) of any number type; which share of them is the sample's, (B,)."""
        image = batch.inputs["image"]
        middle = numbers(2)
        side = (1 - own).sqrt()
        rows = _between(middle[:, 0], side, image.shape[2])  # (B, H)
        columns = _between(middle[:, 1], side, image.shape[3])  # (B, W)
        is_pasted = rows[:, :, None] & columns[:, None, :]
        pasted = torch.where(is_pasted[:, None], partner.inputs["image"], image)
        return {**batch.inputs, "image": pasted}, 1 - is_pasted.float().mean((1, 2))


def _between(middle: Tensor, share: Tensor, size: int) -> Tensor:
    """The places (B, size) of a side that a stretch around `middle` (B,) covers.

    Both are shares of the side; the stretch is `share` (B,) long, as far as it is inside.
    """
    begin = ((middle - share / 2) * size).round()
    end = ((middle + share / 2) * size).round()
    place = torch.arange(size, device=middle.device)
    return (place >= begin[:, None]) & (place < end[:, None])

"""Small turns, stretches, shifts and slants of images, a different one for each image of a batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.schema import Amount, Fraction


class Affine(Augment):
    """One random affine map for each image, applied for the whole batch at once; edges fill with 0."""

    inputs = ("image",)

    def __init__(
        self, *, degrees: Amount, stretch: Fraction, shift: Fraction, shear: Fraction
    ) -> None:
        self.degrees, self.stretch, self.shift, self.shear = degrees, stretch, shift, shear

    def __call__(self, batch: Batch, draws: PerSampleRandom) -> Batch:
        """Images (B, C, H, W) as float32; `shift` is a share of the side."""
        image = batch.inputs["image"]
        grid = F.affine_grid(self._maps(draws(6)), list(image.shape), align_corners=False)
        changed = F.grid_sample(image.float(), grid, align_corners=False)
        return batch._replace(inputs={**batch.inputs, "image": changed})

    def _maps(self, drawn: Tensor) -> Tensor:
        """(B, 6) numbers in [0, 1) to maps (B, 2, 3)."""
        # affine_grid counts from -1 to 1, so a share of the side is twice as much there
        limits = [
            math.radians(self.degrees),
            self.shear,
            self.stretch,
            self.stretch,
            2 * self.shift,
            2 * self.shift,
        ]
        numbers = (drawn * 2 - 1).unbind(1)
        angle, shear, wide, high, right, down = (
            number * limit for number, limit in zip(numbers, limits, strict=True)
        )
        wide, high = 1 + wide, 1 + high
        cosine, sine = angle.cos(), angle.sin()
        first = torch.stack([cosine * wide, (cosine * shear - sine) * high, right], 1)
        second = torch.stack([sine * wide, (sine * shear + cosine) * high, down], 1)
        return torch.stack([first, second], 1)

"""Flips, turns, sizes and colours of images that were taken from above, and of their boxes.

Letters: B batch, C channels, H height, W width, M boxes of an image.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.metrics.average_precision import NOTHING
from goodfit.schema import Amount, Fraction, Rate


class Aerial(Augment):
    """Seen from above, an object may point anywhere: eight ways of flips and quarter turns.

    The scale is between `smallest` and `largest`, as likely half as large as twice; a larger image
    is cropped, a smaller one lies on black. Each colour is multiplied by 1 plus or minus at most
    `gain`. Where the targets have `boxes` they change alike; a box with no more than `visible` of
    its area inside is dropped.
    """

    inputs = ("image",)
    targets = ("target", "boxes", "classes")

    def __init__(self, *, smallest: Rate, largest: Rate, gain: Amount, visible: Fraction) -> None:
        self.smallest, self.largest = smallest, largest
        self.gain, self.visible = gain, visible

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Images (B, C, H, W) of any number type to float32, by linear interpolation.

        Targets `boxes` (B, M, 4) in pixels keep their shape; what is left of them comes first.
        """
        image = batch.inputs["image"]
        maps = self._maps(numbers(6), is_square=image.shape[2] == image.shape[3])
        grid = F.affine_grid(maps, list(image.shape), align_corners=False)
        changed = F.grid_sample(image.float(), grid, align_corners=False)

        gain = 1 + self.gain * (2 * numbers(image.shape[1]) - 1)
        inputs = {**batch.inputs, "image": changed * gain[:, :, None, None]}
        if "boxes" not in batch.targets:
            return batch._replace(inputs=inputs)
        # filled where the image lies: a list would be sent there
        width, height = (torch.full((), image.shape[i] * 1.0, device=image.device) for i in (3, 2))
        size = torch.stack([width, height])
        return batch._replace(inputs=inputs, targets=self._moved(batch.targets, maps, size))

    def _maps(self, uniform: Tensor, is_square: bool) -> Tensor:
        """Maps (B, 2, 3) of (B, 6) numbers in [0, 1), from points of the new image to the old.

        Both count from -1 to 1.
        """
        across, down, diagonal, zoom, right, below = uniform.unbind(1)
        low, high = math.log(self.smallest), math.log(self.largest)
        scale = (low + zoom * (high - low)).exp()

        flip_x, flip_y = (across < 0.5).float() * 2 - 1, (down < 0.5).float() * 2 - 1
        # a quarter turn is a flip over the diagonal and one of the others; only a square has it
        is_turned = ((diagonal < 0.5) & is_square).float()
        upper = torch.stack([flip_x * (1 - is_turned), flip_x * is_turned], 1)
        lower = torch.stack([flip_y * is_turned, flip_y * (1 - is_turned)], 1)
        linear = torch.stack([upper, lower], 1) / scale[:, None, None]

        # as far as a crop stays inside the old image, or a smaller image inside the new one
        room = (1 - 1 / scale).abs()
        shift = torch.stack([right, below], 1) * 2 - 1
        return torch.cat([linear, (shift * room[:, None])[..., None]], 2)

    def _moved(self, targets: dict[str, Tensor], maps: Tensor, size: Tensor) -> dict[str, Tensor]:
        """Targets with boxes (B, M, 4) where `maps` (B, 2, 3) put them; `size` is (W, H)."""
        boxes, length = targets["boxes"], targets["boxes_length"]
        points = boxes.reshape(len(boxes), -1, 2) * 2 / size - 1  # (B, 2M, 2)
        # the linear part is a flip or turn times a number, so its inverse is its transpose over the
        # square of that; torch.linalg.inv waits for the device, to say whether there is one
        linear = maps[:, :, :2]
        back = linear.transpose(1, 2) / linear.square().sum(2, keepdim=True)
        points = (points - maps[:, None, :, 2]) @ back.transpose(1, 2)
        corners = ((points + 1) * size / 2).reshape(*boxes.shape[:2], 2, 2)

        whole = torch.cat([corners.amin(2), corners.amax(2)], 2)  # a flip changes their order
        inside = whole.clamp_min(0).minimum(torch.cat([size, size]))
        is_there = torch.arange(boxes.shape[1], device=boxes.device) < length[:, None]
        is_kept = is_there & (_areas(inside) > self.visible * _areas(whole))

        order = is_kept.long().argsort(dim=1, descending=True, stable=True)
        inside = torch.where(is_kept[..., None], inside, 0.0).to(boxes.dtype)
        classes = torch.where(is_kept, targets["classes"], NOTHING)
        kept = is_kept.sum(1)
        return {
            **targets,
            "boxes": inside.gather(1, order[..., None].expand(-1, -1, 4)),
            "boxes_length": kept,
            "classes": classes.gather(1, order),
            "classes_length": kept,
        }


def _areas(boxes: Tensor) -> Tensor:
    """The area (...) of boxes (..., 4)."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)

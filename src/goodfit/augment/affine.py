"""Small turns, stretches, shifts and slants of images, others for each image of a batch.

Letters: B batch, C channels, H height, W width.
"""

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
    """One random affine map for each image, all of a batch at once; edges fill with 0.

    Each number is uniform between minus and plus its limit: `degrees` of the turn, `stretch` of
    each side and `shift` as shares of the side, `shear` as a slope.
    """

    inputs = ("image",)

    def __init__(
        self, *, degrees: Amount, stretch: Fraction, shift: Fraction, shear: Fraction
    ) -> None:
        self.degrees, self.stretch, self.shift, self.shear = degrees, stretch, shift, shear

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Images (B, C, H, W) of any number type to float32, by linear interpolation."""
        image = batch.inputs["image"]
        grid = F.affine_grid(self._maps(numbers(6)), list(image.shape), align_corners=False)
        changed = F.grid_sample(image.float(), grid, align_corners=False)
        return batch._replace(inputs={**batch.inputs, "image": changed})

    def _maps(self, uniform: Tensor) -> Tensor:
        """Maps (B, 2, 3) of (B, 6) numbers in [0, 1): turn x slant x stretch, then a shift.

        They map points of the new image to points of the old one, so each is the inverse of the
        change that one sees.
        """
        limits = (
            math.radians(self.degrees),
            self.shear,
            self.stretch,
            self.stretch,
            2 * self.shift,  # affine_grid counts from -1 to 1: a share of the side is twice as much
            2 * self.shift,
        )
        scaled = []
        for number, limit in zip((uniform * 2 - 1).unbind(1), limits, strict=True):
            scaled.append(number * limit)
        angle, shear, wider, higher, right, down = scaled  # each (B,)

        width, height = 1 + wider, 1 + higher
        cosine, sine = angle.cos(), angle.sin()
        first_row = torch.stack([cosine * width, (cosine * shear - sine) * height, right], 1)
        second_row = torch.stack([sine * width, (sine * shear + cosine) * height, down], 1)
        return torch.stack([first_row, second_row], 1)

"""Small turns, stretches, shifts and slants of images, a different one for each image of a batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.augment.base import Augment
from goodfit.contract import Batch
from goodfit.kinds import Amount, Fraction


class Affine(Augment):
    """One random affine map for each image, drawn and applied for the whole batch at once; edges fill with 0."""

    inputs = ("image",)

    def __init__(self, *, degrees: Amount, stretch: Fraction, shift: Fraction, shear: Fraction) -> None:
        self.degrees, self.stretch, self.shift, self.shear = degrees, stretch, shift, shear

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Images (B, C, H, W) as float32; `shift` is a share of the side."""
        image = batch.inputs["image"]
        grid = F.affine_grid(self._maps(len(image), generator).to(image.device), list(image.shape), align_corners=False)
        changed = F.grid_sample(image.float(), grid, align_corners=False)
        return batch._replace(inputs={**batch.inputs, "image": changed})

    def _maps(self, count: int, generator: torch.Generator) -> Tensor:
        def draw(limit: float) -> Tensor:
            return (torch.rand(count, generator=generator) * 2 - 1) * limit

        angle, shear = draw(math.radians(self.degrees)), draw(self.shear)
        wide, high = 1 + draw(self.stretch), 1 + draw(self.stretch)
        cosine, sine = angle.cos(), angle.sin()
        # affine_grid counts from -1 to 1, so a share of the side is twice as much there
        first = torch.stack([cosine * wide, (cosine * shear - sine) * high, draw(2 * self.shift)], 1)
        second = torch.stack([sine * wide, (sine * shear + cosine) * high, draw(2 * self.shift)], 1)
        return torch.stack([first, second], 1)

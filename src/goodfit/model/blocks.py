"""Pieces that several networks share. Letters: B batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodfit.contract import Field


class Standardize(nn.Module):
    """(x - mean) / std with the constants of the train split, which are kept with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(field.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(field.std, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) of any number type to the same shape in float32."""
        return (x.float() - self.mean) / self.std

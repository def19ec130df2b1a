"""Pieces that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodfit.contract import Field


class Standardize(nn.Module):
    """(x − mean) / std with the train split's constants, kept with the weights; takes any type of
    number.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(field.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(field.std, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape, float32."""
        return (x.float() - self.mean) / self.std

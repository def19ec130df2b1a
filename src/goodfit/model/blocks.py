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
        self.register_buffer("mean", _by_channel(field.mean, field))
        self.register_buffer("std", _by_channel(field.std, field))

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) of any number type to the same shape in float32."""
        return (x.float() - self.mean) / self.std


def _by_channel(values: tuple[float, ...], field: Field) -> Tensor:
    """() for one value, else (C, 1, ...): a number for each channel of a sample (C, ...)."""
    constants = torch.tensor(values, dtype=torch.float32)
    if len(values) == 1:
        return constants[0]
    return constants.reshape(-1, *[1] * (len(field.shape) - 1))

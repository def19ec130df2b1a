"""Pieces that several networks share. Letters: B batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodfit.contract import Field

# of a network from its input to its head: the patterns of each layer's parameters
Layers = tuple[tuple[str, ...], ...]


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


class StochasticDepth(nn.Module):
    """What a residual block adds, left out for a whole sample with probability `share`.

    Stochastic depth (Huang et al. 2016, arXiv 1603.09382). In training what is kept is divided by
    1 - share, instead of multiplied by it in use: the expectation is the same.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, added: Tensor) -> Tensor:
        """(B, ...) to the same shape; unchanged outside training."""
        if not self.training or self.share == 0:
            return added
        drawn = torch.rand(len(added), *[1] * (added.ndim - 1), device=added.device)
        return added * ((drawn >= self.share) / (1 - self.share)).to(added.dtype)


def depths(last: float, blocks: int) -> list[float]:
    """The share of each block: it rises evenly to `last`, for early features feed all later ones.

    Huang et al. 2016, equation 4.
    """
    return [last * (block + 1) / blocks for block in range(blocks)]


def layers_of(name: str, modules: nn.Sequential) -> Layers:
    """The layers of a network's part `name`: each matrix, with the norms behind it."""
    layers: list[tuple[str, ...]] = []
    for index, module in enumerate(modules):
        dimensions = [parameter.ndim for parameter in module.parameters()]
        pattern = f"{name}.{index}.*"
        if dimensions and max(dimensions) > 1:
            layers.append((pattern,))
        elif dimensions:
            layers[-1] = (*layers[-1], pattern)
    return tuple(layers)


def _by_channel(values: tuple[float, ...], field: Field) -> Tensor:
    """() for one value, else (C, 1, ...): a number for each channel of a sample (C, ...)."""
    constants = torch.tensor(values, dtype=torch.float32)
    if len(values) == 1:
        return constants[0]
    return constants.reshape(-1, *[1] * (len(field.shape) - 1))

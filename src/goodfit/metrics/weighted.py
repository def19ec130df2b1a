"""Means, sums and counts of tensors whose samples do not all count alike.

Without weights each is what torch makes of the samples, to the last digit. A weight that is a whole
number k gives what k equal samples would.

Letters: N samples, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Values (N, ...) in float64, in which sums of weights are exact to 16 digits."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean () of values (N,), which count by their weights (N,); NaN where all of these are 0.

    In float64 where there are weights.
    """
    if weight is None:
        return values.mean()
    weights = wide(weight)
    return (wide(values) * weights).sum() / weights.sum()


def mean_of_rows(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean () of values (N, ...), of which the rows count by their weights (N,)."""
    return (
        values.mean()
        if weight is None
        else mean(wide(values).reshape(len(values), -1).mean(1), weight)
    )


def column_sums(values: Tensor, weight: Tensor | None) -> Tensor:
    """The sums (K,) of values (N, K), which count by their weights (N,), if there are any."""
    return values.sum(0) if weight is None else wide(weight) @ wide(values)


def counts(codes: Tensor, classes: int, weight: Tensor | None) -> Tensor:
    """How much each class (K,) weighs, by the class (N,) and the weight (N,) of each sample."""
    if weight is None:
        return torch.bincount(codes, minlength=classes)
    weights = wide(weight)
    # a weighted bincount has no deterministic way on a GPU
    sums = torch.zeros(classes, dtype=torch.float64, device=weights.device)
    return sums.index_add_(0, codes.to(weights.device), weights)

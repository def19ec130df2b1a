"""Means, counts and quantiles of samples that do not all count alike.

Without weights each is what torch or NumPy makes of the samples, to the last digit. A weight that
is a whole number k gives what k equal samples would.

Letters: N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


def wide(values: Tensor) -> Tensor:
    """Values (...) in float64, in which sums of weights are exact to 16 digits."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean () of values (N,), which count by their weights (N,); NaN where all of these are 0.

    In float64 where there are weights.
    """
    if weight is None:
        return values.mean()
    weights = wide(weight)
    return (wide(values) * weights).sum() / weights.sum()


def average(values: Array, weight: Array | None) -> Array:
    """The means (...) of values (N, ...), which count by their weights (N,), if there are any."""
    means = values.mean(0) if weight is None else np.average(values, 0, weight)
    return np.asarray(means)


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


def effective(weight: Tensor | Array) -> int:
    """How many samples of equal weight tell as much as those with weights (N,).

    (sum w)^2 / sum w^2 (Kish 1965, section 11.7), rounded down; 0 where all weights are 0.
    """
    weights = np.asarray(weight, np.float64)
    squares = float(np.square(weights).sum())
    # of equal weights it is their number, but for a float's last digit
    return int(weights.sum() ** 2 / squares + 1e-6) if squares else 0


def single(weight: Array) -> float:
    """What one further sample would weigh, beside those with weights (N,).

    1, as where a weight says how many rows a row stands for; the mean of the weights above 0 where
    that is less, as where weights are shares of a whole.
    """
    present = weight[weight > 0]
    return min(1.0, float(present.mean()))


def quantiles(values: Array, levels: Sequence[float], weight: Array | None) -> Array:
    """The quantiles (Q,) at `levels` of values (N,) with weights (N,).

    Between two values they are interpolated, as in numpy.quantile.
    """
    if weight is None:
        return np.asarray(np.quantile(values, levels))
    order = np.argsort(values, kind="stable")
    weights = np.asarray(weight, np.float64)[order]
    ordered = values[order]
    # in units of a single sample: of whole numbers, the places of all the copies
    upto = np.cumsum(weights) / single(weights)
    places = np.asarray(levels) * max(upto[-1] - 1, 0.0)
    first = np.floor(places + 1e-9)
    low, high = (_at(ordered, upto, place) for place in (first, first + 1))
    parts: Array = low + (high - low) * (places - first).clip(0)
    return parts


def _at(ordered: Array, upto: Array, place: Array) -> Array:
    """The values (Q,) that lie at places (Q,), counted from 0, of rising ones (N,)."""
    found = np.searchsorted(upto, place + 1e-9, side="right")
    # not beyond the last one that weighs anything
    last = int(np.searchsorted(upto, upto[-1]))
    taken: Array = ordered[found.clip(max=last)]
    return taken

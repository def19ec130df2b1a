"""Means and quantiles of arrays whose samples do not all count alike, and how much these tell.

Without weights each is what NumPy makes of the samples, to the last digit. A weight that is a whole
number k gives what k equal samples would.

Letters: N samples, Q levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def average(values: Array, weight: Array | None) -> Array:
    """The means (...) of values (N, ...), which count by their weights (N,), if there are any."""
    means = values.mean(0) if weight is None else np.average(values, 0, weight)
    return np.asarray(means)


def effective(weight: Array) -> int:
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

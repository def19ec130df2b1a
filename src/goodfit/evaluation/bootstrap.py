"""How sure a score is: percentile intervals of resampled test sets (Efron 1979), and paired
comparison.

Letters: N test samples, R resampled test sets, K classes, T steps of the horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodfit.records import Interval
from goodfit.task.base import Score

LEVEL = 0.95


@dataclass(frozen=True)
class Resampled:
    """A score with its interval, and its values (R,) on the resampled test sets, for comparing."""

    interval: Interval
    values: np.ndarray[Any, Any]


def resamples(samples: int, times: int, seed: int) -> Tensor:
    """Rows of test drawn with replacement, (R, N); the same for every method compared."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(samples, (times, samples), generator=generator)


def distribution(
    score: Score, prediction: Tensor, target: Tensor, draws: Tensor
) -> np.ndarray[Any, Any]:
    """The score on each resampled test set, (R,), of predictions and targets (N, ...)."""
    return np.array([float(score(prediction[rows], target[rows])) for rows in draws])


def interval(value: float, values: np.ndarray[Any, Any]) -> Interval:
    """The value with the percentiles that hold 95 % of its resampled values (R,)."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def intervals(
    metrics: Mapping[str, Score], prediction: Tensor, target: Tensor, draws: Tensor
) -> dict[str, Resampled]:
    """Each score of predictions (N, ...) against targets (N, ...) on the resampled test sets (R,
    N).
    """
    result = {}
    for name, score in metrics.items():
        values = distribution(score, prediction, target, draws)
        result[name] = Resampled(interval(float(score(prediction, target)), values), values)
    return result


def compare(ours: Resampled, theirs: Resampled, mode: str) -> tuple[int, Interval]:
    """1, 0 or -1 for better, tied or worse, with the interval of the difference (positive is
    better).

    Both scores come from the same resampled test sets: what is hard for both cancels, so the
    difference has a narrower interval than the scores. Tied means that its interval holds zero.
    """
    sign = 1.0 if mode == "max" else -1.0
    value = sign * (ours.interval.value - theirs.interval.value)
    difference = interval(value, sign * (ours.values - theirs.values))
    return int(difference.low > 0) - int(difference.high < 0), difference

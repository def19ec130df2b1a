"""How sure a score is: percentile intervals of resampled test sets (Efron 1979), and paired comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodfit.task.base import Score

LEVEL = 0.95
WORDS = {1: "beats", 0: "ties with", -1: "loses to"}


@dataclass(frozen=True)
class Interval:
    """A score with the central 95 % of its values over the resampled test sets."""

    value: float
    low: float
    high: float

    def plain(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def resamples(samples: int, times: int, seed: int) -> Tensor:
    """Rows of test to draw, with replacement, (times, samples); the same for every method compared."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(samples, (times, samples), generator=generator)


def distribution(score: Score, prediction: Tensor, target: Tensor, draws: Tensor) -> np.ndarray[Any, Any]:
    """The score on each resampled test set, (times,)."""
    return np.array([float(score(prediction[rows], target[rows])) for rows in draws])


def interval(value: float, values: np.ndarray[Any, Any]) -> Interval:
    """The value with the percentiles that hold 95 % of its resampled values."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def intervals(
    metrics: Mapping[str, Score], prediction: Tensor, target: Tensor, draws: Tensor
) -> dict[str, tuple[Interval, np.ndarray[Any, Any]]]:
    """Each score with its interval, and with its resampled values for comparing."""
    result = {}
    for name, score in metrics.items():
        values = distribution(score, prediction, target, draws)
        result[name] = interval(float(score(prediction, target)), values), values
    return result


def compare(
    ours: tuple[Interval, np.ndarray[Any, Any]], theirs: tuple[Interval, np.ndarray[Any, Any]], mode: str
) -> tuple[int, Interval]:
    """1, 0 or -1 for better, tied or worse, with the interval of the difference (positive is better).

    Both scores come from the same resampled test sets: what is hard for both cancels, so the difference has
    a narrower interval than the scores. Tied means that its interval holds zero.
    """
    sign = 1.0 if mode == "max" else -1.0
    difference = interval(sign * (ours[0].value - theirs[0].value), sign * (ours[1] - theirs[1]))
    return int(difference.low > 0) - int(difference.high < 0), difference

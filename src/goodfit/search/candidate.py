"""A configuration that may win a sweep, with what several seeds scored."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from goodfit.system import units

CONFIDENCE = 0.95  # of intervals, two-sided


@dataclass(frozen=True)
class Candidate:
    """A configuration with its validation score for each seed.

    `trial` is the trial's number, None for the values before the sweep.
    """

    trial: int | None
    overrides: tuple[str, ...]
    scores: tuple[float, ...] = ()
    parameters: int = 0

    @property
    def mean(self) -> float:
        """The mean score over seeds."""
        return statistics.fmean(self.scores)

    @property
    def name(self) -> str:
        """What messages call it."""
        return "the values before" if self.trial is None else f"trial {self.trial}"

    def __str__(self) -> str:
        low, high = interval(self.scores)
        mean, lowest, highest = (units.number(score, 4) for score in (self.mean, low, high))
        scores = f"{mean} ({lowest} to {highest})"
        return f"{self.name}: {scores}, {self.parameters:,} parameters"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % t-interval of the mean of at least two values (Student 1908)."""
    from scipy.stats import t

    n = len(values)
    mean = statistics.fmean(values)
    half_width = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * statistics.stdev(values) / n**0.5
    return mean - half_width, mean + half_width

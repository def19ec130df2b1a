"""Scores of several trainings, and of two methods: means with intervals, differences with p values.

Letters: K folds, S seeds, R resampled sets, C independent units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goodfit.evaluation.bootstrap import LEVEL, Resampled, opened
from goodfit.records.interval import Interval

Array = np.ndarray[Any, Any]
MIN_REPEATS = 2  # of one, no spread is known
_ROUNDING = 1e-9  # of what equal numbers differ by


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, and the two-sided p value of the hypothesis that it is zero.

    `error` is its standard error, `freedom` the degrees of freedom of Student's t.
    """

    interval: Interval
    error: float
    freedom: float
    p: float

    @property
    def outcome(self) -> int:
        """1 or -1 where the interval is above or below zero, 0 where it holds it."""
        return int(self.interval.low > 0) - int(self.interval.high < 0)


def over_folds(
    scores: Array,
    held_out: Sequence[int],
    trained_on: Sequence[int],
    *,
    units: int,
    limits: tuple[float, float],
) -> Estimate:
    """The mean of scores (K, S) over folds and seeds, as the corrected resampled t test has it.

    Scores of a fold are first averaged over its seeds: the variance s^2 of the K means counts what
    a seed changes, divided by S, and what other samples change. Folds share most of what they are
    trained on, so s^2 / K is too small: the factor 1/K becomes 1/K + n_test / n_train, here the
    mean over folds of `held_out` / `trained_on` samples, with K - 1 degrees of freedom (Nadeau and
    Bengio 2003, section 3.3). It is exact for scores that correlate by n_test / (n_test + n_train),
    which is their assumption; those of a learner that hardly depends on which samples it has been
    trained on correlate less, and its interval is then too wide rather than too narrow.

    Where all folds score alike, the interval is that of what the `units` that are held out may
    lack, which score between the `limits`: see `bootstrap.opened`.

    Raises:
        ValueError: there are fewer than two folds.
    """
    of_folds = np.asarray(scores, float).reshape(len(held_out), -1).mean(1)
    folds = len(of_folds)
    if folds < MIN_REPEATS:
        raise ValueError(f"expected at least {MIN_REPEATS} folds, got {folds}")
    ratio = float(np.mean(np.asarray(held_out) / np.asarray(trained_on)))
    variance = float(of_folds.var(ddof=1)) * (1 / folds + ratio)
    estimate = _of_t(float(of_folds.mean()), variance, folds - 1)
    return _opened(estimate, limits, units)


def over_seeds(
    values: Array, scores: Sequence[float], units: int, limits: tuple[float, float]
) -> Estimate:
    """The mean of scores (S,) of seeds on the same samples; it counts both seeds and samples.

    `values` (S, R) are the scores on R resampled sets, the same for all seeds, of `units` samples
    that are independent. In a crossed design of seeds and samples the variance of the mean is that
    between seeds, divided by S, plus that of the mean over resampled sets, minus what both hold:
    the interaction, which is the variance over resampled sets of how a seed differs from the mean
    of all (Searle, Casella and McCulloch 1992, section 4.3, with the bootstrap in place of mean
    squares, as the score need not be a mean). The sum is never less than either. Degrees of freedom
    are Satterthwaite's (1946), of S - 1 and units - 1. Scores that are all alike, also on resampled
    sets, are treated as by `over_folds`.

    Raises:
        ValueError: there are fewer than two seeds.
    """
    seeds = len(scores)
    if seeds < MIN_REPEATS:
        raise ValueError(f"expected at least {MIN_REPEATS} seeds, got {seeds}")
    drawn = np.asarray(values, float)
    drawn = drawn[:, np.isfinite(drawn).all(0)]
    between = float(np.var(scores, ddof=1)) / seeds
    of_samples = float(drawn.mean(0).var(ddof=1))
    differing = drawn - drawn.mean(0)
    interaction = float(differing.var(axis=1, ddof=1).sum()) / (seeds * (seeds - 1))
    variance = max(between + of_samples - interaction, between, of_samples)

    parts = between**2 / (seeds - 1) + of_samples**2 / max(units - 1, 1)
    freedom = variance**2 / parts if parts else seeds - 1.0
    freedom = min(freedom, max(units - 1, 1) + seeds - 1)
    return _opened(_of_t(float(np.mean(scores)), variance, freedom), limits, units)


def paired(difference: Interval, ours: Resampled, theirs: Resampled, mode: str) -> Estimate:
    """The paired bootstrap's `difference` of two methods with its p value.

    That is twice the smaller share of resampled sets in which the difference is not positive, or
    not negative, each with one set more than there are (Davison and Hinkley 1997, section 4.2). It
    is at least 0.05 where the interval holds zero for want of evidence.
    """
    sign = 1.0 if mode == "max" else -1.0
    values = sign * (ours.values - theirs.values)
    values = values[np.isfinite(values)]
    tails = [(np.sum(side) + 1) / (len(values) + 1) for side in (values <= 0, values >= 0)]
    p = min(1.0, 2 * float(min(tails)))
    holds_zero = difference.low <= 0 <= difference.high
    p = max(p, 1 - LEVEL) if holds_zero else min(p, 1 - LEVEL)
    return Estimate(difference, float(values.std(ddof=1)), math.inf, p)


def _of_t(mean: float, variance: float, freedom: float) -> Estimate:
    """The interval of Student's t around a mean with this variance."""
    from scipy.stats import t

    error = math.sqrt(variance)
    half_width = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    p = 2 * float(t.sf(abs(mean) / error, freedom)) if error else float(mean == 0)
    return Estimate(Interval(mean, mean - half_width, mean + half_width), error, freedom, p)


def _opened(estimate: Estimate, limits: tuple[float, float], units: int) -> Estimate:
    """The same within `limits`; of width zero, with what units that are not there may score."""
    value = estimate.interval.value
    least, most = (limit if math.isfinite(limit) else value for limit in limits)
    if estimate.error > _ROUNDING * max(abs(value), most - least):
        low, high = max(estimate.interval.low, limits[0]), min(estimate.interval.high, limits[1])
        return Estimate(Interval(value, low, high), estimate.error, estimate.freedom, estimate.p)
    wide = opened(Interval(value, value, value), least, most, units)
    return Estimate(wide, estimate.error, estimate.freedom, float(wide.low <= 0 <= wide.high))

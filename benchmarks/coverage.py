"""How often every interval that the project prints holds the truth, by simulation.

`python -m benchmarks.coverage` prints the table of docs/repeats.md; `tests/unit/test_coverage.py`
has the same cases. Letters: S simulations, C independent units, R resampled sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from goodfit.evaluation.bootstrap import Resampled, Resamples, compare, interval
from goodfit.evaluation.evidence import NETWORK, Split, apart, lost
from goodfit.evaluation.repeated import over_folds, over_seeds
from goodfit.evaluation.trend import slope
from goodfit.records.interval import Interval
from goodfit.reporting.error_charts import wilson
from goodfit.search import candidate
from goodfit.task.conformal import margin

Array = np.ndarray[Any, Any]
TIMES = 1000  # simulations: a share of 0.95 is then known to 0.007
_SETS = 1000  # resampled ones, as conf/evaluate has them
_TRAIN = 200  # units of train
_TRIVIAL, _NETWORK, _LEARNED = 1.3, 1.0, 0.7  # mean errors, the last one on train


class Case(NamedTuple):
    """An interval, where it is printed, and what holds how often; `promised` is its level."""

    what: str
    where: str
    units: str
    share: Callable[[], float]
    promised: float = 0.95


class _Sample(NamedTuple):
    """S times C units of rows: sums of errors of each method (S, C), and the units' sizes (C,)."""

    sums: Sequence[Array]
    sizes: Array


def cases() -> Iterator[Case]:
    """Every kind of interval, with samples that are independent and with units of several."""
    of_splits = (
        ("score, mean error", "verdict, page, table", _score),
        ("score, share that is right", "verdict, page, table", _right),
        ("difference of two methods", "verdict, fit, champion, compare", _difference),
        ("gap of train and validation", "fit", _gap),
        ("share that is lost", "fit", _lost),
    )
    for units, several in ((30, True), (100, False)):
        told = f"{units} of 1 to 11 samples" if several else f"{units} samples"
        for what, where, share in of_splits:
            yield Case(what, where, told, partial(share, units, several))
    for points in (5, 15):
        for like in (0.0, 0.6):
            told = f"errors correlate by {like}"
            yield Case(f"slope of {points} epochs", "fit", told, partial(_slope, points, like))
    yield Case("mean of 5 folds", "cv=5", "as Nadeau and Bengio assume", _folds)
    yield Case("mean of 3 seeds", "seeds=3", "40 of 4 samples", _seeds)
    yield Case("mean of 5 seeds", "a sweep's winner", "5 seeds", _winner)
    yield Case("share right in a bin", "calibration on the page", "200 samples", _bin)
    for like in (0.0, 0.8):
        told = f"20 of 20 samples, correlated by {like}"
        yield Case("a sample's interval", "answers", told, partial(_conformal, like), 0.9)


def _score(units: int, several: bool) -> float:
    sample = _errors(units, several, [_NETWORK], 0)
    truth = _truth(several) * _NETWORK
    return _share((_interval(found) for (found,) in _resampled(sample, 0)), truth)


def _right(units: int, several: bool) -> float:
    rng = np.random.default_rng(1)
    sizes = _sizes(rng, units, several)
    # a Beta of 4 has a correlation of 0.2 between samples of a unit
    own = rng.beta(4 * 0.8, 4 * 0.2, (TIMES, units)) if several else np.full((TIMES, units), 0.8)
    sample = _Sample([rng.binomial(sizes, own).astype(float)], sizes)
    return _share((_interval(found) for (found,) in _resampled(sample, 0)), 0.8)


def _difference(units: int, several: bool) -> float:
    sample = _errors(units, several, [_NETWORK, _TRIVIAL], 2)
    truth = _truth(several) * (_TRIVIAL - _NETWORK)
    pairs = _resampled(sample, 0)
    return _share((compare(ours, theirs, "min")[1] for ours, theirs in pairs), truth)


def _gap(units: int, several: bool) -> float:
    validation = _resampled(_errors(units, several, [_NETWORK], 3), 2)
    train = _resampled(_errors(_TRAIN, several, [_LEARNED], 4), 1)
    truth = _truth(several) * (_NETWORK - _LEARNED)
    pairs = zip(train, validation, strict=True)
    return _share((apart(ours, theirs, -1.0) for (ours,), (theirs,) in pairs), truth)


def _lost(units: int, several: bool) -> float:
    validation = _resampled(_errors(units, several, [_NETWORK, _TRIVIAL], 5), 2)
    train = _resampled(_errors(_TRAIN, several, [_LEARNED, _TRIVIAL], 6), 1)
    found = []
    for pair in zip(train, validation, strict=True):
        splits = [Split({NETWORK: of[0], "trivial": of[1]}, of[0].units) for of in pair]
        found.append(lost(splits[0], splits[1], "trivial", "min"))
    truth = 1 - (_TRIVIAL - _NETWORK) / (_TRIVIAL - _LEARNED)
    return _share((item for item in found if item is not None), truth)


def _slope(points: int, like: float) -> float:
    rng = np.random.default_rng(7)
    errors = rng.normal(size=(TIMES, points))
    for place in range(1, points):
        errors[:, place] = like * errors[:, place - 1] + (1 - like**2) ** 0.5 * errors[:, place]
    lines = (slope(0.3 * np.arange(points) + row) for row in errors)
    return _share((line for line in lines if line is not None), 0.3)


def _folds() -> float:
    rng, folds = np.random.default_rng(8), 5
    noise = rng.normal(size=(TIMES, folds)) * (1 - 1 / folds) ** 0.5
    scores = 0.8 + noise + rng.normal(size=(TIMES, 1)) * (1 / folds) ** 0.5
    free = (-np.inf, np.inf)
    found = (
        over_folds(row[:, None], [1] * folds, [folds - 1] * folds, units=100, limits=free).interval
        for row in scores
    )
    return _share(found, 0.8)


def _seeds() -> float:
    """Seeds, samples and both together matter alike."""
    rng, units, seeds = np.random.default_rng(9), 40, 3
    counts = rng.multinomial(units, np.full(units, 1 / units), size=100).T / units
    found = []
    for _ in range(TIMES):
        of_rows = rng.normal(size=(1, units, 1)) + rng.normal(size=(1, units, 4))
        scores = of_rows + 0.2 * rng.normal(size=(seeds, 1, 1))
        scores = (scores + rng.normal(size=(seeds, units, 4))).mean(2)
        means = scores.mean(1).tolist()
        found.append(over_seeds(scores @ counts, means, units, (-np.inf, np.inf)).interval)
    return _share(found, 0.0)


def _winner() -> float:
    scores = np.random.default_rng(10).normal(size=(TIMES, 5))
    ends = [candidate.interval(row.tolist()) for row in scores]
    return float(np.mean([low <= 0 <= high for low, high in ends]))


def _bin() -> float:
    right = np.random.default_rng(11).binomial(200, 0.9, TIMES)
    ends = [wilson(count / 200, 200) for count in right]
    return float(np.mean([low <= 0.9 <= high for low, high in ends]))


def _conformal(like: float) -> float:
    """Of new units, by intervals that validation has calibrated."""
    rng, units, new = np.random.default_rng(12), 20, 60
    clusters, shares = torch.arange(units).repeat_interleave(20), []
    for _ in range(TIMES):
        shared = rng.normal(size=(units + new, 1)) * like**0.5
        errors = np.abs(shared + rng.normal(size=(units + new, 20)) * (1 - like) ** 0.5)
        reach = margin(torch.tensor(errors[:units].ravel()), 0.9, clusters=clusters)
        shares.append((errors[units:] <= reach).mean())
    return float(np.mean(shares))


def _errors(units: int, several: bool, means: Sequence[float], seed: int) -> _Sample:
    """Absolute errors of methods that find the same samples hard, and the same units."""
    rng = np.random.default_rng(seed)
    sizes = _sizes(rng, units, several)
    unit_of = np.repeat(np.arange(units), sizes)
    hard = np.exp(0.4 * rng.normal(size=(TIMES, units))) if several else np.ones((TIMES, units))
    shared = rng.normal(size=(TIMES, len(unit_of)))
    first = np.cumsum(sizes) - sizes
    sums = []
    for mean in means:
        own = 0.6 * shared + 0.8 * rng.normal(size=shared.shape)
        errors = mean * np.abs(own) * hard[:, unit_of]
        sums.append(np.add.reduceat(errors, first, axis=1))
    return _Sample(sums, sizes)


def _truth(several: bool) -> float:
    """The mean of an error whose method has mean 1: of a half normal, times that of a lognormal."""
    return float((2 / np.pi) ** 0.5 * (np.exp(0.4**2 / 2) if several else 1.0))


def _sizes(rng: np.random.Generator, units: int, several: bool) -> Array:
    return rng.integers(1, 12, units) if several else np.ones(units, int)


def _resampled(sample: _Sample, seed: int) -> Iterator[list[Resampled]]:
    """Each simulation's methods with their values on the same resampled sets, as evaluate has.

    Without their own intervals, which a difference does not look at.
    """
    units = len(sample.sizes)
    clusters = torch.arange(units).repeat_interleave(torch.from_numpy(sample.sizes))
    draws = Resamples(clusters, _SETS, seed=seed)
    counts = torch.cat(list(draws.counts())).numpy()
    drawn = [(counts @ sums.T) / (counts @ sample.sizes)[:, None] for sums in sample.sums]
    whole = [sums.sum(1) / sample.sizes.sum() for sums in sample.sums]
    for row in range(TIMES):
        found = []
        for values, value in zip(drawn, whole, strict=True):
            number = float(value[row])
            own = Interval(number, number, number)
            found.append(Resampled(own, values[:, row], units, draws.alike, 1.0))
        yield found


def _interval(found: Resampled) -> Interval:
    return interval(found.interval.value, found.values, found.alike)


def _share(found: Any, truth: float) -> float:
    """The share of intervals that hold the truth."""
    held: list[bool] = [item.low <= truth <= item.high for item in found]
    return float(np.mean(held))


def table() -> str:
    """Markdown: each interval with its simulated coverage."""
    rows = ["| interval of | printed by | independent units | promised | holds the truth |"]
    rows.append("|---|---|---|---|---|")
    for case in cases():
        share = f"{case.share():.1%}"
        promised = f"{case.promised:.0%}"
        rows.append(f"| {case.what} | {case.where} | {case.units} | {promised} | {share} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())

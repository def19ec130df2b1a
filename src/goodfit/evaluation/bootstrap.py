"""Bootstrap: intervals of scores by percentiles (Efron 1979), and paired comparison of methods.

Docs: docs/decisions/0029-what-test-data-cannot-tell.md.

Letters: N test samples, C clusters of them, R resampled test sets, M samples of one of them, S
numbers of a sample's statistics. Statistics are (N, ...), as the task gives them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodfit.metrics.weighted import wide
from goodfit.metrics.weighted_arrays import effective
from goodfit.records.interval import Interval
from goodfit.store.progress import Progress
from goodfit.task.epoch import score_rows
from goodfit.task.scores import MeanScore, Score, SortedScore, Statistics, weighed, weight_of

LEVEL = 0.95  # of all intervals; pages and docs say so in words
# draws that are in memory at once, of 8 bytes each: 1,000 test sets of a million samples are 8 GB
_BLOCK = 2_000_000
_ROUNDING = 1e-6  # of what float32 makes of equal numbers, added up in another order
# of k units that speak for one of two methods, e^-k of all test sets hold none; up to five of them
# are no evidence in a sign test, whose two-sided p is then 2^-4 at least
NO_EVIDENCE = math.exp(-5.5)
_MOST_SKEWED = 0.15  # an acceleration: beyond, draws are too few to tell where its tail ends
_ANY = (-math.inf, math.inf)  # the range of a score that declares none
Array = np.ndarray[Any, Any]
Scores = dict[str, "Resampled"]
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Resampled:
    """A score with its interval, and its values (R,) on the resampled test sets of `units`.

    Of units that do not weigh alike, as many as tell as much. `alike` of one size would vary as the
    drawn ones do, which are of several. `span` is how far two of its values can be apart.
    """

    interval: Interval
    values: Array
    units: int
    alike: int
    span: float


class Resamples:
    """R resampled test sets, a function of the seed, of `clusters` and of `weight` (N,) alone.

    As many clusters as there are, drawn with replacement, each with all of its rows (Davison and
    Hinkley 1997, section 3.8), so M differs where their sizes do. Where each row is a cluster of
    its own, this is the plain bootstrap. A row keeps its weight; those that weigh nothing are never
    drawn. The draws are made anew whenever they are asked for, a block at a time.
    """

    def __init__(
        self, clusters: Tensor, times: int, seed: int, weight: Tensor | None = None
    ) -> None:
        self.times, self.seed, self._samples = times, seed, len(clusters)
        # the rows that are drawn, where these are not all
        self._present = None if weight is None else wide(weight).nonzero().flatten()
        present = clusters if self._present is None else clusters[self._present]
        unique = torch.unique(present, return_inverse=True, return_counts=True)
        _, self._cluster_of, self._sizes = unique
        self._told = len(self._sizes)
        sums = self._sizes
        if weight is not None:
            sums = self.sums(wide(weight)[:, None])[:, 0]
            # on average, so that a cluster of many rows tells no more than one of few, as without
            self._told = effective((sums / self._sizes).numpy())
        self._alike = effective(sums.numpy())

    def __len__(self) -> int:
        return self.times

    @property
    def units(self) -> int:
        """The independent units that are drawn: C."""
        return len(self._sizes)

    @property
    def told(self) -> int:
        """How many units of rows that weigh alike would tell as much as those that are drawn."""
        return self._told

    @property
    def alike(self) -> int:
        """How many units of one size would vary as much: of one large and many small ones, few."""
        return self._alike

    def rows(self) -> Iterator[Tensor]:
        """The rows (M,) of each test set."""
        grouped = self._cluster_of.argsort(stable=True)
        if self._present is not None:
            grouped = self._present[grouped]
        rows_of = grouped.split(self._sizes.tolist())
        # clusters of one sample: a gather, where joining as many tensors as samples takes seconds
        singles = torch.cat(rows_of) if len(self._sizes) == len(self._cluster_of) else None
        for block in self._blocks():
            for draw in block:
                if singles is not None:
                    yield singles[draw]
                else:
                    yield torch.cat([rows_of[cluster] for cluster in draw.tolist()])

    def weights(self, rows: Tensor) -> Tensor:
        """How often a test set with these rows (M,) holds each sample, (N,)."""
        return torch.bincount(rows, minlength=self._samples)

    def counts(self) -> Iterator[Tensor]:
        """How often each test set holds each cluster, (R, C) in float64, in blocks of test sets."""
        clusters = len(self._sizes)
        for block in self._blocks():
            sets = torch.arange(len(block)).unsqueeze(1)
            flat = (sets * clusters + block).flatten()
            counts = torch.bincount(flat, minlength=len(block) * clusters)
            yield counts.reshape(len(block), clusters).double()

    def sums(self, values: Tensor) -> Tensor:
        """The sums (C, S) over the rows of each cluster, in float64, of (N, S)."""
        sums = torch.zeros(len(self._sizes), values.shape[1], dtype=torch.float64)
        present = values if self._present is None else values[self._present]
        return sums.index_add_(0, self._cluster_of, present.double())

    def _blocks(self) -> Iterator[Tensor]:
        """The clusters (R, C) that the test sets hold, in blocks of test sets."""
        clusters = len(self._sizes)
        generator = torch.Generator().manual_seed(self.seed)
        size = max(1, _BLOCK // clusters)
        for first in range(0, self.times, size):
            shape = (min(size, self.times - first), clusters)
            # the generator goes on, so the numbers are those of a single call, whatever the size
            yield torch.randint(clusters, shape, generator=generator)


def intervals(
    metrics: Mapping[str, Score],
    methods: Mapping[str, Statistics],
    draws: Resamples,
    *,
    additive: bool,
    ranges: Ranges | None = None,
) -> dict[str, Scores]:
    """Each score of each method by its title, of statistics (N, ...), on the same test sets.

    Scores are functions of rows, or where `additive` of the sums of statistics; rows keep the
    weights that they have. `ranges` has the least and the most that a score can be, where it has
    them.
    """
    resample = _from_sums if additive else _from_samples
    values = resample(metrics, methods, draws)
    on_test = {
        title: score_rows(metrics, statistics, additive=additive)
        for title, statistics in methods.items()
    }

    scores: dict[str, Scores] = {title: {} for title in methods}
    for name in metrics:
        limits = (ranges or {}).get(name, _ANY)
        largest = max(abs(of_method[name]) for of_method in on_test.values())
        for title in methods:
            drawn = values[title][name]
            scores[title][name] = _resampled(on_test[title][name], drawn, limits, largest, draws)
    return scores


def _resampled(
    value: float,
    values: Array,
    limits: tuple[float, float],
    largest: float,
    draws: Resamples,
) -> Resampled:
    """A score with its values (R,) and the interval of both, never of width zero.

    Where `limits` end nowhere, another unit may be off by as much as the `largest` score.
    """
    reach = largest or 1.0  # where all methods make no error at all, no scale is known
    least = limits[0] if math.isfinite(limits[0]) else value - reach
    most = limits[1] if math.isfinite(limits[1]) else value + reach
    has_ends = math.isfinite(limits[0]) and math.isfinite(limits[1])
    span = most - least if has_ends else reach
    own = opened(interval(value, values, draws.alike), least, most, draws.told)
    return Resampled(own, values, draws.told, draws.alike, span)


def opened(interval: Interval, least: float, most: float, units: int) -> Interval:
    """The interval; of width zero, what may be true of units that test happens not to hold.

    Where all test sets agree, the bootstrap knows of no unit that differs. A share p of such units
    leaves n drawn ones all alike with probability (1 - p)^n, so with n of them it may be up to
    1 - 0.025^(1/n): the exact interval of a share of 0 or 1 (Clopper and Pearson 1934; Hanley and
    Lippman-Hand 1983). These may score `least`, or `most`.
    """
    value = interval.value
    width = interval.high - interval.low
    if not width <= _ROUNDING * max(abs(value), most - least):
        return interval
    share = unseen(units)
    return Interval(value, value - share * (value - least), value + share * (most - value))


def unseen(units: int) -> float:
    """The largest share that units of a kind may have, where of so many drawn ones none is."""
    return float(1 - ((1 - LEVEL) / 2) ** (1 / units))


_Values = dict[str, dict[str, Array]]  # by method and score, (R,)


def _from_samples(
    metrics: Mapping[str, Score], methods: Mapping[str, Statistics], draws: Resamples
) -> _Values:
    """The values (R,) of scores of samples: by their means where these tell, else by rows."""
    means = {name: score for name, score in metrics.items() if isinstance(score, MeanScore)}
    others = {name: score for name, score in metrics.items() if name not in means}
    values: _Values = {title: {} for title in methods}
    if others:
        values = _from_rows(others, methods, draws)
    for title, statistics in methods.items():
        for name, score in means.items():
            values[title][name] = _from_means(score, statistics, draws)
    return values


def _from_means(score: MeanScore, statistics: Statistics, draws: Resamples) -> Array:
    """The values (R,) of a score of means: counts of clusters, (R, C), times their two sums."""
    rows = wide(score.of_rows(statistics))
    weight = weight_of(statistics)
    weights = torch.ones_like(rows) if weight is None else wide(weight)
    of_clusters = draws.sums(torch.stack([rows * weights, weights], 1))
    sums = torch.cat([counts @ of_clusters for counts in draws.counts()])
    values: Array = score.of_mean(sums[:, 0] / sums[:, 1]).numpy()
    return values


def _from_rows(
    metrics: Mapping[str, Score], methods: Mapping[str, Statistics], draws: Resamples
) -> _Values:
    """The values (R,) of scores of rows."""
    values: _Values = {}
    sorted_once: dict[str, dict[str, Callable[[Tensor], Tensor]]] = {}
    for title, statistics in methods.items():
        values[title] = {name: np.empty(len(draws)) for name in metrics}
        sorted_once[title] = {
            name: score.of_draws(statistics)
            for name, score in metrics.items()
            if isinstance(score, SortedScore)
        }

    progress = Progress("resampling", len(draws), "test set")
    for index, rows in enumerate(draws.rows()):
        weights = draws.weights(rows)
        for title, statistics in methods.items():
            drawn = {name: array[rows] for name, array in statistics.items()}
            for name, score in metrics.items():
                of_weights = sorted_once[title].get(name)
                value = of_weights(weights) if of_weights else score(drawn)
                values[title][name][index] = float(value)
        progress.show(index + 1)
    return values


def _from_sums(
    metrics: Mapping[str, Score], methods: Mapping[str, Statistics], draws: Resamples
) -> _Values:
    """The values (R,) of scores of sums: counts of clusters, (R, C), times their sums, (C, S)."""
    methods = {title: weighed(statistics) for title, statistics in methods.items()}
    of_clusters = {title: _cluster_sums(statistics, draws) for title, statistics in methods.items()}
    blocks: dict[str, list[Tensor]] = {title: [] for title in methods}
    for counts in draws.counts():
        for title, cluster_sums in of_clusters.items():
            blocks[title].append(counts @ cluster_sums)

    values: _Values = {}
    for title, statistics in methods.items():
        sums = _unflattened(torch.cat(blocks[title]), statistics)
        values[title] = {name: score(sums).numpy() for name, score in metrics.items()}
    return values


def _cluster_sums(statistics: Statistics, draws: Resamples) -> Tensor:
    """All statistics (N, ...) of a method side by side, summed over clusters: (C, S)."""
    # one product for all: a column of a few numbers each would leave the processor waiting
    return torch.cat([draws.sums(columns) for columns in _columns(statistics)], 1)


def _columns(statistics: Statistics) -> list[Tensor]:
    """Each of the statistics (N, ...) as a table, (N, S)."""
    return [array.reshape(len(array), -1) for array in statistics.values()]


def _unflattened(sums: Tensor, statistics: Statistics) -> Statistics:
    """Sums (R, S) by the names of the statistics (N, ...), and of their shape: (R, ...)."""
    parts = torch.split(sums, [columns.shape[1] for columns in _columns(statistics)], 1)
    named = {}
    for (name, array), part in zip(statistics.items(), parts, strict=True):
        named[name] = part.reshape(len(sums), *array.shape[1:])
    return named


def interval(value: float, values: Array, units: int) -> Interval:
    """The value with a 95 % interval by its resampled values (R,), of so many units of one size.

    These are percentiles, moved by what is known to make plain ones cover too seldom. Of few units
    draws vary too little: the normal quantile becomes Student's, times the root of n / (n - 1)
    (Hesterberg 2015, expanded percentiles). Where a few units carry much, the draws' own skewness,
    a sixth of which is the acceleration of a mean, moves both ends (Efron 1987, BCa without its
    correction of the median). Of many units that are alike they are the plain ones.
    """
    from scipy import special

    # a resampled test set may leave a score undefined (NaN); the others still give an interval
    known = values[np.isfinite(values)]
    freedom = max(units, 2) - 1
    reach = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(1 + 1 / freedom)
    skewed = _acceleration(known)
    ends = [end / (1 - skewed * end) for end in (-reach, reach)]
    low, high = np.quantile(known, special.ndtr(ends)) if len(known) else (math.nan, math.nan)
    return Interval(float(value), float(low), float(high))


def _acceleration(values: Array) -> float:
    """A sixth of the skewness of values (N,), 0 where all are alike."""
    distances = values - values.mean() if len(values) else values
    deviation = float(np.sqrt(np.mean(distances**2))) if len(values) else 0.0
    if deviation <= _ROUNDING * max(float(np.abs(values).max(initial=0.0)), 1e-300):
        return 0.0
    skewness = float(np.mean((distances / deviation) ** 3))
    return min(max(skewness / 6, -_MOST_SKEWED), _MOST_SKEWED)


def compare(ours: Resampled, theirs: Resampled, mode: str) -> tuple[int, Interval]:
    """1, 0 or -1 for better, tied or worse, and the interval of the paired difference.

    A positive difference is better, whatever the `mode`. Both values (R,) come from the same
    resampled test sets: what is hard for both cancels, so the difference has a narrower interval
    than the scores. Tied means that its interval holds zero.
    """
    sign = 1.0 if mode == "max" else -1.0
    value = sign * (ours.interval.value - theirs.interval.value)
    values = sign * (ours.values - theirs.values)
    span = max(ours.span, theirs.span)
    difference = opened(interval(value, values, ours.alike), -span, span, ours.units)

    # of four answers that only one method has right, a test set lacks all with probability 0.02:
    # its percentiles exclude zero, and a coin falls so in one of eight tries
    if np.mean(np.abs(values) <= _ROUNDING * span) > NO_EVIDENCE:
        difference = Interval(value, min(difference.low, 0.0), max(difference.high, 0.0))
    return int(difference.low > 0) - int(difference.high < 0), difference

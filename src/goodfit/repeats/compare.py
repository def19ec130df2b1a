"""Two methods on the same samples: by folds, by seeds, or by one training each, always paired.

Letters: K folds, S seeds, R resampled sets, N samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from goodfit.errors import UserError
from goodfit.evaluation.bootstrap import NO_EVIDENCE, Resamples, compare, intervals
from goodfit.evaluation.repeated import Estimate, over_folds, over_seeds, paired
from goodfit.predictor import Predictor
from goodfit.records import FEWEST_UNITS, Evaluation, Training
from goodfit.records.interval import Interval
from goodfit.repeats.result import Repeated
from goodfit.repeats.sides import Side
from goodfit.store.arrays import Packed
from goodfit.store.manifest import verify
from goodfit.task.base import Task
from goodfit.task.scores import Statistics, weight_of

Array = np.ndarray[Any, Any]
WORDS = {1: "beats", 0: "is statistically tied with", -1: "loses to"}
_RESAMPLES = 1000  # of the held-out samples, where no run says how many
_EQUAL = 1e-9  # what equal scores may differ by
_NETWORK = "network."  # begins the names of the network's statistics that evaluate left


@dataclass(frozen=True)
class Compared:
    """Both scores, and how much better the first is, whatever the score's direction.

    `counts` says what the interval of the difference counts, `few` why it tells too little.
    """

    score: str
    first: Interval
    second: Interval
    difference: Estimate
    on: str
    counts: str
    few: str | None = None

    @property
    def outcome(self) -> int:
        """1, 0 or -1 where the first is better, tied or worse."""
        return 0 if self.few else self.difference.outcome


def compared(first: Side, second: Side) -> Compared:
    """The comparison that both allow: folds, seeds, test, or validation.

    Raises:
        UserError: they are scored otherwise, or on other samples.
    """
    one, other = first.repeated, second.repeated
    if one and other:
        return _repeated(first, second, one, other)
    if one or other:
        single, several = (second, first) if one else (first, second)
        raise UserError(
            f"{several.name} was trained several times, {single.name} once; run both with the same "
            "cv= and seeds="
        )
    return _trained(first, second)


def _repeated(first: Side, second: Side, one: Repeated, other: Repeated) -> Compared:
    """By their folds, or by their seeds on the same samples.

    Raises:
        UserError: folds, data or score differ, or too few seeds are the same.
    """
    _same("score", first, second, lambda side: _of(side).score)
    _same("number of folds", first, second, lambda side: _of(side).folds or "none, seeds alone")
    _same("data (SHA-256)", first, second, lambda side: [sha[:12] for sha in _of(side).data])
    seeds = tuple(seed for seed in one.seeds if seed in other.seeds)
    if len(seeds) < (1 if one.folds else 2):
        raise UserError(
            f"{first.name} has seeds {list(one.seeds)}, {second.name} {list(other.seeds)}; they "
            "are compared by the seeds that both have: run both with the same seed= and seeds="
        )
    if one.folds:
        return _by_folds(one, other, seeds)
    return _by_seeds(first, second, seeds)


def _by_folds(one: Repeated, other: Repeated, seeds: tuple[int, ...]) -> Compared:
    """The corrected paired t test over the folds, each averaged over the `seeds` of both."""
    differences = _sign(one) * (one.of_seeds(seeds) - other.of_seeds(seeds))
    difference = over_folds(
        differences, one.held_out, one.trained_on, units=one.units, limits=_limits(one)
    )
    return Compared(
        score=one.score,
        first=one.mean,
        second=other.mean,
        difference=difference,
        on=f"the same {one.folds} folds with the same {_counted(seeds)}",
        counts=f"samples and seeds, by the corrected paired t test of {one.folds} folds with "
        f"{difference.freedom:g} degrees of freedom (Nadeau and Bengio 2003)",
    )


def _by_seeds(first: Side, second: Side, seeds: tuple[int, ...]) -> Compared:
    """The paired bootstrap over the samples of all `seeds`, with the variance between these.

    Raises:
        UserError: they were resampled another number of times.
    """
    one, other = _of(first), _of(second)
    ours, theirs = _drawn(first, seeds), _drawn(second, seeds)
    if ours.shape != theirs.shape:
        raise UserError("evaluate.resamples of both differ; run both with the same")
    drawn = _sign(one) * (ours - theirs)
    differences = _sign(one) * (one.of_seeds(seeds) - other.of_seeds(seeds))[0]
    difference = over_seeds(drawn, differences.tolist(), one.units, _limits(one))
    return Compared(
        score=one.score,
        first=one.mean,
        second=other.mean,
        difference=difference,
        on=f"the same validation with the same {_counted(seeds)}",
        counts=f"samples ({one.units:,} independent units, by the paired bootstrap) and seeds, "
        f"with {difference.freedom:.3g} degrees of freedom",
        few=_few(one.units, one.unit) or _few_differ(drawn.mean(0)),
    )


def _sign(repeated: Repeated) -> float:
    return 1.0 if repeated.mode == "max" else -1.0


def _limits(repeated: Repeated) -> tuple[float, float]:
    """How far two scores can be apart."""
    span = repeated.limits[1] - repeated.limits[0]
    return -span, span


def _few_differ(drawn: Array) -> str | None:
    """That too few samples are told apart for a verdict, by differences (R,) on resampled sets.

    As in `bootstrap.compare`: in so many sets of which none differs, five or fewer samples do.
    """
    if np.mean(np.abs(drawn) <= _EQUAL) <= NO_EVIDENCE:
        return None
    return "statistically tied: hardly a sample tells them apart"


def _counted(seeds: tuple[int, ...]) -> str:
    return f"{len(seeds)} seed{'s' * (len(seeds) > 1)} ({', '.join(map(str, seeds))})"


def _drawn(side: Side, seeds: tuple[int, ...]) -> Array:
    """The resampled scores (S, R) of these seeds."""
    assert side.values is not None  # of seeds alone they are there
    return side.values[[_of(side).seeds.index(seed) for seed in seeds]]


def _trained(first: Side, second: Side) -> Compared:
    """By one training each: on test where both were evaluated there, else on validation.

    Raises:
        UserError: score or samples differ.
    """
    tasks = [Predictor.load(side.folder).task for side in (first, second)]
    _same("score", first, second, lambda side: tasks[side is second].score)
    _same("task", first, second, lambda side: type(tasks[side is second]).__name__)
    evaluations = [_evaluation(side) for side in (first, second)]
    if all(evaluations):
        _same("test (SHA-256)", first, second, lambda side: _test_sha(evaluations[side is second]))
        told = [_test_statistics(side) for side in (first, second)]
        on, caution = "the same test", ""
    else:
        _same("data (SHA-256)", first, second, lambda side: _validation_sha(side)[:12])
        told = [_validation_statistics(side) for side in (first, second)]
        on, caution = "the same validation", ", on which each chose its epoch"
    return _by_bootstrap(tasks, told, on, caution)


def _by_bootstrap(
    tasks: list[Task], told: list[tuple[Statistics, torch.Tensor]], on: str, caution: str
) -> Compared:
    """The paired bootstrap of the statistics (N, ...) of two trainings on the same samples."""
    score, mode = tasks[0].score, tasks[0].scores[tasks[0].score]
    (_, clusters), weight = told[0], weight_of(told[0][0])
    draws = Resamples(clusters, _RESAMPLES, seed=0, weight=weight)
    scored = []
    for task, (statistics, _) in zip(tasks, told, strict=True):
        metrics = {score: task.metrics()[score]}
        found = intervals(
            metrics, {"": statistics}, draws, additive=task.additive, ranges=task.ranges
        )
        scored.append(found[""][score])
    ours, theirs = scored
    _, difference = compare(ours, theirs, mode)
    return Compared(
        score=score,
        first=ours.interval,
        second=theirs.interval,
        difference=paired(difference, ours, theirs, mode),
        on=f"{on}, {len(clusters):,} samples{caution}",
        counts=f"samples ({draws.units:,} independent units, by the paired bootstrap), of one "
        "training each: another seed may change it, which seeds=5 of both counts",
        few=_few(draws.told, "unit"),
    )


def _of(side: Side) -> Repeated:
    assert side.repeated is not None  # its caller has looked
    return side.repeated


def _same(what: str, first: Side, second: Side, of: Callable[[Side], Any]) -> None:
    """Raises UserError where both differ in what `of` says of them."""
    one, other = of(first), of(second)
    if one != other:
        raise UserError(
            f"{first.name} and {second.name} cannot be compared: the {what} of the first is {one}, "
            f"of the second {other}"
        )


def _few(units: int, unit: str) -> str | None:
    """Why so few independent units tell nothing; None where they do."""
    if units >= FEWEST_UNITS:
        return None
    return f"too few to tell: {units} independent {unit}s, it takes {FEWEST_UNITS}"


def _evaluation(side: Side) -> Evaluation | None:
    """What evaluate measured of this very model on test, None where it did not."""
    if side.evaluation is None or not (side.evaluation / "evaluation.json").is_file():
        return None
    found = Evaluation.read(side.evaluation / "evaluation.json")
    weights = Training.read(side.folder / "train.json").weights_sha256
    return found if found.weights_sha256 == weights else None


def _test_sha(evaluation: Evaluation | None) -> str:
    assert evaluation is not None  # both were evaluated
    return evaluation.test_sha256[:12]


def _test_statistics(side: Side) -> tuple[Statistics, torch.Tensor]:
    """The network's statistics (N, ...) on test, and the cluster (N,) of each sample."""
    assert side.evaluation is not None
    with np.load(side.evaluation / "statistics.npz") as arrays:
        names = [name for name in arrays.files if name.startswith(_NETWORK)]
        statistics = {name.removeprefix(_NETWORK): torch.from_numpy(arrays[name]) for name in names}
        return statistics, torch.from_numpy(arrays["clusters"])


def _validation_sha(side: Side) -> str:
    """The hash of the data that a model was trained on, which must be those that are there.

    Raises:
        UserError: they are not.
    """
    found = verify(side.data, "validation").sha256
    if side.data_sha256 not in (None, found):
        raise UserError(
            f"{side.name} was trained on other data than {side.data} holds; train again"
        )
    return found


def _validation_statistics(side: Side) -> tuple[Statistics, torch.Tensor]:
    """The network's statistics (N, ...) on validation, and the cluster (N,) of each sample."""
    split = Packed(side.data, "validation")
    return Predictor.load(side.folder).measure(split).statistics, split.clusters

"""A learning curve: shares of train, each with several seeds, trained and scored on validation.

Docs: docs/decisions/0045-learning-curves.md.

Letters: K sizes, S seeds, R resampled sets.
"""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.evaluation import power_law
from goodfit.evaluation.baselines import labelled, statistics_on_validation, strongest
from goodfit.evaluation.bootstrap import Resamples, intervals
from goodfit.evaluation.repeated import over_seeds
from goodfit.launch import devices
from goodfit.launch.fit import print_devices
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records.curve import Drawn, HeldOut, LearningCurve, MethodCurve, Size
from goodfit.records.interval import Interval
from goodfit.repeats.planned import Planned, claimed, digest, open_parent, train_all
from goodfit.repeats.pool import Pool
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches
from goodfit.store.manifest import verify
from goodfit.store.mapped import read_targets
from goodfit.store.share import rows_of, units_in
from goodfit.task.base import Task
from goodfit.task.scores import Statistics
from goodfit.tracking import runs

ROOT = Path("build/curves")
FILE = "curve.json"
NETWORK = "network"
FEWEST_SHARES = 2
_FEWEST_KNOWN = 3  # sizes from which a larger one is foretold: a power law has three parameters
_MOST_HELD_OUT = 2
_POINTS = 40  # of a curve that is drawn
_ANY = (-math.inf, math.inf)  # the range of a score that declares none
# what counts epochs, and is given as many more of them as an epoch of a share has fewer steps
_IN_EPOCHS = ("trainer.max_epochs", "early_stopping.patience", "parameters.unfreeze_at")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shares:
    """Shares of an experiment's train (K,), and the rows that each has by each of S seeds."""

    sizes: tuple[Size, ...]
    seeds: tuple[int, ...]
    rows: tuple[tuple[torch.Tensor, ...], ...]
    spec: DataSpec
    latest: bool


def shares_of(cfg: DictConfig, asked: Sequence[float], seeds: int) -> Shares:
    """The shares that were `asked` for, rising, of whole units; data are prepared.

    Raises:
        UserError: there are too few shares, or two that are the same units, or a share lacks a
            label of train, or all of its targets are alike.
    """
    data = Paths(cfg.name).prepared
    verify(data, "train", "validation")
    spec = DataSpec.read(data / "spec.json")
    clusters, targets = Packed(data, "train").clusters, read_targets(data / "train", spec)
    latest, unit = build.data_class(spec).in_time, build.data_class(spec).cluster_of(spec)
    units = len(np.unique(clusters.numpy()))
    if len(asked) < FEWEST_SHARES:
        raise UserError(
            f"shares={_listed(asked)} is one size; a curve takes two at least: shares=0.1,0.3,1"
        )
    counts = [units_in(units, share) for share in asked]
    for before, share, one, two in zip(asked, asked[1:], counts, counts[1:], strict=False):
        if one == two:
            raise UserError(
                f"shares={_listed(asked)}: train has {units} independent units (each a {unit}), of "
                f"which {before:g} and {share:g} are both {one}; name fewer shares, further apart"
            )
    values = tuple(int(cfg.seed) + offset for offset in range(seeds))
    sizes, rows = [], []
    for share, count in zip(asked, counts, strict=True):
        of_seeds = []
        for seed in values:
            taken = rows_of(clusters, share, seed=seed, latest=latest)
            _check_targets(f"share {share:g}, seed {seed}", targets, taken, spec)
            of_seeds.append(taken)
        samples = float(np.mean(list(map(len, of_seeds))))
        sizes.append(Size(share=share, units=count, samples=samples))
        rows.append(tuple(of_seeds))
    return Shares(tuple(sizes), values, tuple(rows), spec, latest)


def curve(
    cfg: DictConfig, shares: Shares, overrides: Sequence[str], pool: Pool | None = None
) -> tuple[LearningCurve, Path]:
    """Curves of the network, trained on each share with each seed, and of baselines on the same.

    With the folder that they are kept in. A training that the same call has finished
    before is not repeated, one that was cut goes on. Test is never opened. Without a `pool` of
    workers all are trained here, one behind the other.

    Raises:
        UserError: configuration and data do not fit, a score is undefined on validation, or another
            process trains the same.
        FailureError: a training could not be finished.
    """
    asked = _listed([size.share for size in shares.sizes])
    root = ROOT / cfg.name / digest(cfg, [None], shares.seeds, f"shares {asked}")
    options = [f"shares={asked}", f"seeds={len(shares.seeds)}"]
    tags = {
        "goodfit.started_by": "curve",
        "goodfit.seeds": " ".join(map(str, shares.seeds)),
        "goodfit.shares": asked,
        "mlflow.source.name": "pipelines/learning_curve.py",
    }
    with claimed(root):
        if cfg.resume == "never":
            shutil.rmtree(root, ignore_errors=True)
        with runs.run_status(open_parent(cfg, root, options, overrides, tags)) as parent:
            print_devices(cfg, devices.resolved(cfg))
            planned = planned_trainings(cfg, shares, root)
            train_all(planned, parent.run_id, overrides, pool or Pool())
            found = _summed_up(cfg, shares, planned, parent.run_id)
            found.write(root / FILE)
    return found, root


def planned_trainings(cfg: DictConfig, shares: Shares, root: Path) -> list[Planned]:
    """A training for each share and seed, each with as many optimizer steps as all of train has.

    An epoch of a share has fewer steps, so it gets more epochs: few samples are then learned no
    less thoroughly than many, and early stopping ends what does not get better.
    """
    train, size_of_step = Packed(Paths(cfg.name).prepared, "train"), int(cfg.loader.batch_size)
    planned = []
    for size, of_seeds in zip(shares.sizes, shares.rows, strict=True):
        for seed, rows in zip(shares.seeds, of_seeds, strict=True):
            of_share = Batches(train.part(rows), size_of_step)
            factor = len(Batches(train, size_of_step)) / len(of_share)
            changes: dict[str, Any] = {"seed": seed, "loader.share": size.share}
            changes |= _in_more_epochs(cfg, factor)
            own = copy.deepcopy(cfg)
            for key, value in changes.items():
                OmegaConf.update(own, key, value)
            OmegaConf.update(own, "tracking.run_name", f"share {size.share:g}, seed {seed}")
            given = tuple(f"{key}={value}" for key, value in changes.items())
            folder = root / f"share-{size.share:g}-seed-{seed}"
            planned.append(Planned(own, None, None, folder, given, "share"))
    return planned


def _in_more_epochs(cfg: DictConfig, factor: float) -> dict[str, int]:
    """The options that count epochs, times `factor`, where it changes them."""
    changed = {}
    for key in _IN_EPOCHS:
        value = OmegaConf.select(cfg, key)
        # a patience may be a share of the epochs, or null
        if isinstance(value, int) and round(value * factor) != value:
            changed[key] = round(value * factor)
    return changed


def _listed(shares: Sequence[float]) -> str:
    return ",".join(f"{share:g}" for share in shares)


def _check_targets(where: str, targets: dict[str, Any], rows: torch.Tensor, spec: DataSpec) -> None:
    """Raises UserError where a share lacks a label of train, or all of its targets are alike."""
    for name, field in spec.targets.items():
        values = targets[name]
        if field.is_ragged or values.ndim > 1:
            continue
        there, known = np.unique(values[rows.numpy()]), np.unique(values)
        missing = (
            [field.labels[int(each)] for each in known if each not in there] if field.labels else []
        )
        if missing:
            raise UserError(
                f"{where}: of its {len(rows)} samples none has the label '{missing[0]}'; begin "
                "with a larger share"
            )
        if len(there) == 1:
            raise UserError(
                f"{where}: all of its {len(rows)} samples have the same target; begin with a "
                "larger share"
            )


@dataclass(frozen=True)
class _Errors:
    """A method's errors (K, S), and on resampled sets (K, S, R): how far scores are from the best.

    They are between `limits`.
    """

    of: Array
    drawn: Array


class _Scale:
    """Between scores and errors: an error is how far a score is from the best that it can be."""

    def __init__(self, mode: str, limits: tuple[float, float]) -> None:
        self._sign = -1.0 if mode == "max" else 1.0
        best, worst = limits[::-1] if mode == "max" else limits
        self._best = best if math.isfinite(best) else 0.0
        least = 0.0 if math.isfinite(best) else -math.inf
        self.limits = (least, abs(worst - best))

    def errors(self, scores: Array) -> Array:
        """Errors of scores, of any shape."""
        return np.asarray(self._sign * (np.asarray(scores, float) - self._best))

    def score(self, error: Interval) -> Interval:
        """The score with its interval, of an error with its own."""
        value, one, two = (
            self._best + self._sign * each for each in (error.value, error.low, error.high)
        )
        return Interval(value, min(one, two), max(one, two))


def _summed_up(
    cfg: DictConfig, shares: Shares, planned: Sequence[Planned], run_id: str
) -> LearningCurve:
    """The curves of all methods, of trainings that are finished."""
    data = Paths(cfg.name).prepared
    task = Predictor.load(planned[-1].folder).task
    split = Packed(data, "validation")
    draws = Resamples(split.clusters, cfg.evaluate.resamples, seed=0, weight=split.sample_weight)
    statistics = {
        NETWORK: [Predictor.load(one.folder).measure(split).statistics for one in planned]
    }
    statistics |= _of_baselines(cfg, data, shares, task)
    scored = {title: _scores(task, given, draws, shares) for title, given in statistics.items()}

    names = [title for title in scored if title != NETWORK]
    strong = strongest({title: float(scored[title][0][-1].mean()) for title in names}, task)
    order = [NETWORK, strong, *(title for title in names if title != strong)]
    mode, limits = task.scores[task.score], task.ranges.get(task.score, _ANY)
    sign = 1.0 if mode == "max" else -1.0
    differences = []
    for ours, theirs in zip(
        zip(*scored[NETWORK], strict=True), zip(*scored[strong], strict=True), strict=True
    ):
        apart, drawn = (sign * (one - two) for one, two in zip(ours, theirs, strict=True))
        span = limits[1] - limits[0]
        differences.append(over_seeds(drawn, apart.tolist(), draws.told, (-span, span)).interval)
    data_class = build.data_class(shares.spec)
    whole = 2.0 * len(Packed(data, "train"))
    fitted = [
        _method(
            title, *scored[title], shares.sizes, whole, draws.told, _Scale(mode, limits), limits
        )
        for title in order
    ]
    return LearningCurve(
        experiment=str(cfg.name),
        score=task.score,
        mode=mode,
        data_sha256=verify(data, "train", "validation").sha256,
        seeds=shares.seeds,
        sizes=shares.sizes,
        doubled=whole,
        unit=data_class.cluster_of(shares.spec),
        held_out=draws.told,
        latest=shares.latest,
        methods=tuple(fitted),
        differences=tuple(differences),
        run_id=run_id,
    )


def _of_baselines(
    cfg: DictConfig, data: Path, shares: Shares, task: Task
) -> dict[str, list[Statistics]]:
    """By title, the statistics of each baseline on validation, by size, then by seed.

    Each is fitted on the very samples that the network was trained on; where two seeds have the
    same, once.
    """
    train, validation = (labelled(data, split, shares.spec) for split in ("train", "validation"))
    found: dict[str, list[Statistics]] = {}
    for index in range(len(build.baselines(cfg))):
        known: dict[bytes, Statistics] = {}
        for rows in (each for of_seeds in shares.rows for each in of_seeds):
            key = rows.numpy().tobytes()
            baseline = build.baselines(cfg)[index]  # anew: none knows what another one learned
            if key not in known:
                known[key] = statistics_on_validation(
                    baseline, train.part(rows), validation, data, task
                )
            found.setdefault(baseline.title, []).append(known[key])
        print(f"baseline {baseline.title}: fitted on {len(known)} sets of samples", flush=True)
    return found


def _scores(
    task: Task, statistics: Sequence[Statistics], draws: Resamples, shares: Shares
) -> tuple[Array, Array]:
    """The scores (K, S) of statistics by size, then by seed; and on resampled sets (K, S, R)."""
    methods = {f"{index}": each for index, each in enumerate(statistics)}
    metrics = {task.score: task.metrics()[task.score]}
    found = intervals(metrics, methods, draws, additive=task.additive, ranges=task.ranges)
    shape = (len(shares.sizes), len(shares.seeds))
    resampled = [found[title][task.score] for title in methods]
    scores = np.array([each.interval.value for each in resampled]).reshape(shape)
    if not np.isfinite(scores).all():
        raise UserError(f"{task.score} is undefined on validation, so there is no curve of it")
    return scores, np.array([each.values for each in resampled]).reshape(*shape, -1)


def _method(
    title: str,
    scores: Array,
    drawn: Array,
    sizes: Sequence[Size],
    doubled: float,
    units: int,
    scale: _Scale,
    limits: tuple[float, float],
) -> MethodCurve:
    """The curve of scores (K, S), on resampled sets (K, S, R)."""
    samples = np.array([size.samples for size in sizes])
    known = power_law.measured(
        samples, scale.errors(scores), scale.errors(drawn), units, scale.limits
    )
    law = power_law.PowerLaw(known)
    level, drop, exponent = law.parameters
    means = [
        over_seeds(of_size, each.tolist(), units, limits).interval
        for of_size, each in zip(drawn, scores, strict=True)
    ]
    grid = np.geomspace(samples[0], doubled, _POINTS)
    return MethodCurve(
        title=title,
        scores=tuple(tuple(row) for row in scores.tolist()),
        means=tuple(means),
        level=level,
        drop=drop,
        exponent=exponent,
        fits=law.fits,
        doubled=_within(scale.score(law.at(doubled)), limits),
        gain=law.gain(doubled / 2, doubled),
        held_out=tuple(_held_out(known, sizes, scale, limits)),
        curve=tuple(
            Drawn(samples=float(size), score=_within(scale.score(law.at(size)), limits))
            for size in grid
        ),
    )


def _held_out(
    known: power_law.Measured, sizes: Sequence[Size], scale: _Scale, limits: tuple[float, float]
) -> list[HeldOut]:
    """The largest sizes, each foretold by those that are smaller, where these are enough."""
    found = []
    first = max(_FEWEST_KNOWN, len(sizes) - _MOST_HELD_OUT)
    for index in range(first, len(sizes)):
        law = power_law.PowerLaw(known.first(index))
        covariance = known.covariance[index]
        predicted = law.measures(
            known.sizes[index], known.errors[index], covariance[:index], covariance[index]
        )
        found.append(
            HeldOut(
                size=sizes[index],
                predicted=_within(scale.score(predicted), limits),
                measured=scale.score(Interval(*[float(known.errors[index])] * 3)).value,
            )
        )
    return found


def _within(interval: Interval, limits: tuple[float, float]) -> Interval:
    """The interval as far as a score can lie in it."""
    low, high = max(interval.low, limits[0]), min(interval.high, limits[1])
    return Interval(interval.value, low, high)

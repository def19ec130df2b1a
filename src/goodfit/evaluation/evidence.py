"""What shows how well a network fits: its scores on train and validation, and how its curves ended.

Test data have no part in it. Letters: N samples of a split, R resampled splits, E epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from torch import Tensor

from goodfit import build
from goodfit.baseline.base import at
from goodfit.evaluation.baselines import as_prediction, weighed_statistics
from goodfit.evaluation.bootstrap import Resampled, Resamples, compare, interval, intervals
from goodfit.evaluation.degenerate import same_answer
from goodfit.evaluation.shuffled import known, spaced
from goodfit.evaluation.trend import FEWEST_POINTS, slope
from goodfit.predictor import Predictor
from goodfit.records import Manifest, Training
from goodfit.records.fit import Curve, Evidence
from goodfit.records.interval import Interval
from goodfit.store.arrays import Packed
from goodfit.store.mapped import read_arrays, read_targets
from goodfit.task.base import Task
from goodfit.task.scores import Statistics, weight_of
from goodfit.training.share import rows_of_train

# samples of a split, evenly spaced: of 5,000 an accuracy is known to 0.014 at the worst; a network
# that writes its answers takes a second for a few. Of train no more than of validation, which says
# how sure a gap is
_MOST, _MOST_WRITTEN = 5_000, 500
_TRAIN, _VALIDATION = 1, 2  # seeds: the two splits are drawn without regard to each other
NETWORK = "network"
Array = np.ndarray[Any, Any]


class Opponent(NamedTuple):
    """The strong baseline: its title, and the statistics (N, ...) of its answers on validation."""

    title: str
    statistics: Statistics


def gather(
    cfg: DictConfig, data: Path, model: Path, predictor: Predictor, strong: Opponent | None
) -> Evidence | None:
    """The evidence about the weights in `model`; None where a score of validation is undefined.

    Of up to 5,000 samples of validation and as many of train, with intervals of
    `evaluate.resamples` resampled splits of each; whole clusters are drawn.

    Raises:
        UserError: a file is missing or broken.
    """
    task, times = predictor.task, cfg.evaluate.resamples
    rows = rows_of_train(cfg, data)
    methods = _Methods(predictor, data, rows, strong)
    validation = _scored(task, *methods.on("validation"), times, _VALIDATION)
    train = _scored(task, *methods.on("train"), times, _TRAIN)
    manifest = Manifest.read(data / "manifest.json")
    scores = [*train.of.values(), *validation.of.values()]
    if not all(math.isfinite(score.interval.value) for score in scores):
        return None

    runs = known(cfg.name, manifest.sha256)
    told = [run.leak for run in runs if run.leak]
    return Evidence(
        **_compared(task, train, validation, strong),
        **_of_training(cfg, task, model),
        unit=build.data_class(task.spec).cluster_of(task.spec),
        units=validation.units,
        samples=manifest.samples("train") if rows is None else len(rows),
        same_answer=same_answer(predictor, Packed(data, "validation")),
        leaks=(*(item.what for item in manifest.findings if item.leaks), *told),
        shuffled=runs,
    )


class Split(NamedTuple):
    """The headline score of each method on one split, by title, and its independent units."""

    of: Mapping[str, Resampled]
    units: int


class _Methods:
    """What each method says of some samples of train and of validation, as statistics (N, ...)."""

    def __init__(
        self, predictor: Predictor, data: Path, train: Tensor | None, strong: Opponent | None
    ) -> None:
        self._predictor, self._strong = predictor, strong
        self._spec, self._data, self._train = predictor.spec, data, train
        targets = read_targets(data / "train", self._spec)
        self._targets = targets if train is None else at(targets, train.numpy())
        self._own: dict[str, Task] = {}
        most = _MOST_WRITTEN if predictor.task.feeds else _MOST
        self._most = min(most, len(Packed(data, "validation")))

    def on(self, split: str) -> tuple[dict[str, Statistics], Tensor]:
        """The statistics (N, ...) by title, and the cluster (N,) of each sample.

        Validation is asked for first: there each trivial baseline finds its threshold, if any.
        """
        task, packed = self._predictor.task, Packed(self._data, split)
        rows = spaced(len(packed), self._most)
        if split == "train" and self._train is not None:
            rows = self._train[spaced(len(self._train), self._most)]
        methods = {NETWORK: self._predictor.measure(packed, rows=rows).statistics}
        truth = packed.only([]).batch(rows)
        inputs = at(read_arrays(self._data / split, self._spec.inputs), rows.numpy())
        for title, values in task.trivial(self._targets, inputs, len(rows)).items():
            given = as_prediction(values)
            if title not in self._own:
                self._own[title] = task.calibrated(weighed_statistics(task, given, truth))
            own = self._own[title]
            methods[title] = weighed_statistics(own, own.recalibrated(given), truth)
        if self._strong and split == "validation":
            statistics = self._strong.statistics
            methods[self._strong.title] = {
                name: values[rows] for name, values in statistics.items()
            }
        return methods, packed.clusters[rows]


def _scored(
    task: Task, methods: Mapping[str, Statistics], clusters: Tensor, times: int, seed: int
) -> Split:
    """The headline score of each method, of statistics (N, ...) and clusters (N,)."""
    draws = Resamples(clusters, times, seed=seed, weight=weight_of(methods[NETWORK]))
    headline = {task.score: task.metrics()[task.score]}
    scores = intervals(headline, methods, draws, additive=task.additive, ranges=task.ranges)
    return Split({title: of[task.score] for title, of in scores.items()}, draws.told)


def _compared(
    task: Task, train: Split, validation: Split, strong: Opponent | None
) -> dict[str, Any]:
    """The network's scores, and by how much they are better than those of others."""
    mode = task.scores[task.score]
    sign = 1.0 if mode == "max" else -1.0
    names = [title for title in train.of if title != NETWORK]
    trivial = max(names, key=lambda title: sign * validation.of[title].interval.value)
    on_train, ours = train.of[NETWORK], validation.of[NETWORK]
    return {
        "score": task.score,
        "train": on_train.interval,
        "validation": ours.interval,
        "gap": apart(on_train, ours, sign),
        "trivial": trivial,
        "on_train": compare(on_train, train.of[trivial], mode)[1],
        "on_validation": compare(ours, validation.of[trivial], mode)[1],
        "lost": lost(train, validation, trivial, mode),
        "strong": strong.title if strong else None,
        "than_strong": compare(ours, validation.of[strong.title], mode)[1] if strong else None,
        "bias": apart(validation.of[strong.title], on_train, sign) if strong else None,
    }


def _of_training(cfg: DictConfig, task: Task, model: Path) -> dict[str, Any]:
    """How long the network was trained, how its curves ended, and how large it is."""
    training, history = Training.read(model / "train.json"), pd.read_csv(model / "history.csv")
    sign = 1.0 if task.mode(task.monitor) == "max" else -1.0
    return {
        "train_curve": curve(-history["train/loss"], training.best_epoch),
        "validation_curve": curve(sign * history[training.monitor], training.best_epoch),
        "epochs": training.epochs,
        "kept_epoch": training.best_epoch,
        "to_the_end": training.epochs >= cfg.trainer.max_epochs,
        "parameters": training.cost.trainable,
    }


def apart(one: Resampled, other: Resampled, sign: float) -> Interval:
    """By how much the one is better, where both are drawn by themselves."""
    value = sign * (one.interval.value - other.interval.value)
    units = min(one.alike, other.alike)
    return interval(value, sign * (one.values - other.values), units)


def lost(train: Split, validation: Split, trivial: str, mode: str) -> Interval | None:
    """The share of what it knows beyond a trivial baseline on train that it does not elsewhere.

    None where it may know nothing there: a share of nothing is none. Draws in which it does, fewer
    than one of 40, are left out.
    """
    beyond = [
        compare(split.of[NETWORK], split.of[trivial], mode)[1] for split in (train, validation)
    ]
    if beyond[0].low <= 0:
        return None
    sign = 1.0 if mode == "max" else -1.0
    known = sign * (train.of[NETWORK].values - train.of[trivial].values)
    kept = sign * (validation.of[NETWORK].values - validation.of[trivial].values)
    knows = known > 0
    units = min(train.of[NETWORK].alike, validation.of[NETWORK].alike)
    return interval(1 - beyond[1].value / beyond[0].value, 1 - kept[knows] / known[knows], units)


def curve(values: pd.Series[float], kept: int) -> Curve:
    """How a curve (E,), better above, ended: a straight line through its last quarter."""
    last = max(FEWEST_POINTS, len(values) // 4)
    y = values.iloc[-last:].dropna().to_numpy()
    gained = float(values.iloc[min(kept, len(values) - 1)] - values.iloc[0])
    gained = gained if math.isfinite(gained) else 0.0
    return Curve(epochs=len(y), slope=slope(y), gained=gained)

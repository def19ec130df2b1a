"""The baselines of an experiment: fitted on train, compared on validation, asked about test.

Letters: N samples of a split.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from torch import Tensor

from goodfit import build
from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.contract import Batch, DataSpec
from goodfit.records import Role
from goodfit.store.arrays import Packed
from goodfit.store.mapped import read_arrays, read_targets
from goodfit.task.base import Task
from goodfit.task.epoch import score_rows
from goodfit.task.scores import Statistics, with_clusters, with_weight
from goodfit.training.share import rows_of_train


class Answered(NamedTuple):
    """A baseline's role, its score on validation, and the statistics (N, ...) of its answers.

    The score is the one of the verdict; None where it is undefined, as with one class alone.
    """

    role: Role
    validation: float | None
    statistics: Statistics  # on test
    on_validation: Statistics


def answers(cfg: DictConfig, data: Path, task: Task) -> dict[str, Answered]:
    """The baselines by title: the best on validation first, then the other ones, then trivial ones.

    Each is fitted on what the network is trained on; what it has to choose, and which of them is
    strong, is decided on validation. Of test they are handed inputs alone.

    Raises:
        UserError: a file is missing or broken.
    """
    build.check_inputs(cfg, task.spec)
    train, validation = (labelled(data, split, task.spec) for split in ("train", "validation"))
    train = train.part(rows_of_train(cfg, data))
    fitted_on = train.that_count()
    asked = {"validation": Samples(validation.inputs, validation.rows)}
    asked["test"] = _samples(data, "test", task.spec)
    truths = {split: _truth(data, split) for split in asked}
    clusters = Packed(data, "validation").clusters

    def statistics(of: Task, split: str, prediction: Tensor) -> Statistics:
        return weighed_statistics(of, prediction, truths[split])

    def answered(role: Role, predictions: Mapping[str, np.ndarray[Any, Any]]) -> Answered:
        given = {split: as_prediction(values) for split, values in predictions.items()}
        known = statistics(task, "validation", given["validation"])
        own = task.calibrated(with_clusters(known, clusters))
        of_split = {
            split: statistics(own, split, own.recalibrated(given[split])) for split in asked
        }
        on_validation = of_split["validation"]
        return Answered(role, _score(task, on_validation), of_split["test"], on_validation)

    methods: dict[str, Answered] = {}
    for baseline in build.baselines(cfg):
        started = time.monotonic()
        baseline.fit(fitted_on, validation, task.spec)
        predictions = {split: baseline.predict(samples) for split, samples in asked.items()}
        print(f"baseline {baseline.title}: {time.monotonic() - started:.1f} s", flush=True)
        methods[baseline.title] = answered("other", predictions)

    best = strongest({title: method.validation for title, method in methods.items()}, task)
    ordered = {best: methods.pop(best)._replace(role="strong"), **methods}

    trivial: dict[str, dict[str, Any]] = {}
    for split, samples in asked.items():
        answer = task.trivial(train.targets, samples.inputs, len(samples))
        for title, values in answer.items():
            trivial.setdefault(title, {})[split] = values
    for title, predictions in trivial.items():
        ordered[title] = answered("trivial", predictions)
    return ordered


def statistics_on_validation(
    baseline: Baseline, train: LabelledSamples, validation: LabelledSamples, data: Path, task: Task
) -> Statistics:
    """The statistics (N, ...) on validation of what a baseline answers, once fitted on `train`."""
    baseline.fit(train.that_count(), validation, task.spec)
    given = as_prediction(baseline.predict(Samples(validation.inputs, validation.rows)))
    truth = _truth(data, "validation")
    own = task.calibrated(weighed_statistics(task, given, truth))
    return weighed_statistics(own, own.recalibrated(given), truth)


def strongest(validation: Mapping[str, float | None], task: Task) -> str:
    """The title with the best score on validation; of equal ones the first.

    A score that is undefined counts as the worst.
    """
    sign = 1 if task.scores[task.score] == "max" else -1

    def value(title: str) -> float:
        score = validation[title]
        return -math.inf if score is None else sign * score

    return max(validation, key=value)


def labelled(data: Path, split: str, spec: DataSpec) -> LabelledSamples:
    """A split with its targets, for fitting and choosing: never test."""
    samples = _samples(data, split, spec)
    return LabelledSamples(samples.inputs, samples.rows, read_targets(data / split, spec))


def _samples(data: Path, split: str, spec: DataSpec) -> Samples:
    rows = pd.read_parquet(data / split / "rows.parquet")
    return Samples(read_arrays(data / split, spec.inputs), rows)


def _truth(data: Path, split: str) -> Batch:
    """The targets of a split as a task scores them, with the weights of its samples."""
    samples = Packed(data, split).only([])
    return samples.batch(torch.arange(len(samples)))


def weighed_statistics(task: Task, prediction: Tensor, truth: Batch) -> Statistics:
    """Statistics (N, ...) of predictions (N, ...) and true targets, with the samples' weights."""
    return with_weight(task.statistics(prediction, **truth.targets), truth.sample_weight)


def as_prediction(values: np.ndarray[Any, Any]) -> Tensor:
    """Answers (N, ...) of another method as a tensor of the type that a network's have."""
    # both are scored by the same arithmetic
    is_token = values.dtype.kind in "iu"
    return torch.from_numpy(np.asarray(values, np.int64 if is_token else np.float32))


def _score(task: Task, statistics: Statistics) -> float | None:
    """The score of the verdict, of statistics (N, ...)."""
    metrics = {task.score: task.metrics()[task.score]}
    value = float(score_rows(metrics, statistics, additive=task.additive)[task.score])
    return value if math.isfinite(value) else None

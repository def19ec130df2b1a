"""The only stage that opens test data: scores with intervals, baselines, and a verdict.

Letters: N test samples.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from torch import Tensor

from goodfit import build
from goodfit.baseline.base import LabelledSamples, Samples
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.evaluation.bootstrap import Resampled, Resamples, intervals
from goodfit.evaluation.degenerate import SHUFFLED, Degenerate, degenerate
from goodfit.evaluation.examples import ordinary, worst
from goodfit.evaluation.verdict import verdict
from goodfit.predictor import Predictor
from goodfit.records import Evaluation, Interval, Manifest, Method, Role, Training, Verdict
from goodfit.store.arrays import Packed, read_arrays
from goodfit.task.base import Statistics, Task

Arrays = dict[str, np.ndarray[Any, Any]]


class _Baseline(NamedTuple):
    """The role of a baseline, and the statistics (N, ...) of its predictions for test."""

    role: Role
    statistics: Statistics


def evaluate(cfg: DictConfig, data: Path, model: Path) -> tuple[Evaluation, Arrays]:
    """Scores of the network and the baselines on the test split of `data`, and all statistics.

    Intervals are 95 % percentiles of `evaluate.resamples` resampled test sets, drawn with seed 0
    and the same for every method; whole clusters are drawn. The arrays (N, ...) are named by method
    and statistic, beside `clusters` (N,).

    Raises:
        UserError: the model was trained on other data, or a file is missing or broken.
    """
    predictor = _predictor(data, model)
    task = predictor.task
    test = Packed(data, "test")

    # the network runs over test once: scores, charts and the choice of examples are made of this
    started = time.monotonic()
    results = predictor.measure(test)
    seconds = time.monotonic() - started

    baselines = _baselines(cfg, data, task, test)
    clusters = test.clusters
    draws = Resamples(clusters, cfg.evaluate.resamples, seed=0)
    # in the order of `Task.diagnose`
    methods = {"network": results.statistics}
    methods |= {title: baseline.statistics for title, baseline in baselines.items()}
    charts, typical = task.diagnose(methods), task.typical(methods)
    alike = degenerate(predictor, test)
    if alike:
        baselines[SHUFFLED] = _Baseline("trivial", alike.shuffled)
        methods[SHUFFLED] = alike.shuffled
    scores = intervals(task.metrics(), methods, draws, additive=task.additive, ranges=task.ranges)
    network = scores["network"]
    scored = {title: (baseline.role, scores[title]) for title, baseline in baselines.items()}

    rows = _rows(data, "test")
    result = Evaluation(
        experiment=cfg.name,
        task=type(task).__name__,
        model=type(task.model).__name__,
        subject=_subject(task),
        score=task.score,
        modes=task.scores,
        samples=len(test),
        cluster=build.data_class(task.spec).cluster,
        clusters=draws.units,
        resamples=cfg.evaluate.resamples,
        test_sha256=Manifest.read(data / "manifest.json").test_sha256,
        weights_sha256=Training.read(model / "train.json").weights_sha256,
        seconds_per_1000=round(1000 * seconds / len(test), 3),
        network=_intervals(network),
        baselines=_methods(scored),
        verdict=_verdict(task, network, scored, alike),
        charts=tuple(charts),
        typical=tuple(typical),
        examples=worst(predictor, results, test, rows, cfg.evaluate.examples),
        ordinary=ordinary(predictor, results, test, rows),
    )
    return result, _arrays(methods) | {"clusters": clusters.numpy()}


def _predictor(data: Path, model: Path) -> Predictor:
    """The model, which must have been trained on these data."""
    predictor = Predictor.load(model)
    # with labels in another order, say, every score would be computed, and wrong
    if predictor.spec != DataSpec.read(data / "spec.json"):
        raise UserError(f"{model} was trained on other data than {data} holds; train again")
    return predictor


def _baselines(cfg: DictConfig, data: Path, task: Task, test: Packed) -> dict[str, _Baseline]:
    """All baselines by title, the strong one first; of test they are handed inputs alone."""
    train, validation = (_labelled(data, split, task.spec) for split in ("train", "validation"))
    samples = _samples(data, "test", task.spec)

    targets = test.batch(torch.arange(len(test))).targets
    baselines: dict[str, _Baseline] = {}
    for baseline in build.baselines(cfg):
        started = time.monotonic()
        baseline.fit(train, validation, task.spec)
        prediction = baseline.predict(samples)
        print(f"baseline {baseline.title}: {time.monotonic() - started:.1f} s", flush=True)
        role: Role = "other" if baselines else "strong"
        statistics = task.statistics(_tensor(prediction), **targets)
        baselines[baseline.title] = _Baseline(role, statistics)
    for title, values in task.trivial(train.targets, samples.inputs, len(test)).items():
        statistics = task.statistics(_tensor(values), **targets)
        baselines[title] = _Baseline("trivial", statistics)
    return baselines


def _verdict(
    task: Task,
    network: dict[str, Resampled],
    baselines: dict[str, tuple[Role, dict[str, Resampled]]],
    alike: Degenerate | None,
) -> Verdict:
    return verdict(
        task.score,
        task.scores[task.score],
        network,
        baselines,
        unit=build.data_class(task.spec).cluster,
        degenerate=alike.text if alike else None,
    )


def _arrays(methods: dict[str, Statistics]) -> Arrays:
    """All statistics (N, ...) as arrays named <title>.<statistic>, without spaces."""
    arrays = {}
    for title, statistics in methods.items():
        for name, values in statistics.items():
            arrays[f"{title.replace(' ', '_')}.{name}"] = values.numpy()
    return arrays


def _samples(data: Path, split: str, spec: DataSpec) -> Samples:
    return Samples(read_arrays(data / split, spec.inputs), _rows(data, split))


def _labelled(data: Path, split: str, spec: DataSpec) -> LabelledSamples:
    samples = _samples(data, split, spec)
    targets = read_arrays(data / split, spec.targets)
    return LabelledSamples(samples.inputs, samples.rows, targets)


def _rows(data: Path, split: str) -> pd.DataFrame:
    return pd.read_parquet(data / split / "rows.parquet")


def _tensor(values: np.ndarray[Any, Any]) -> Tensor:
    # the type of the network's predictions: both are scored by the same arithmetic
    is_token = values.dtype.kind in "iu"
    return torch.from_numpy(np.asarray(values, np.int64 if is_token else np.float32))


def _intervals(scores: dict[str, Resampled]) -> dict[str, Interval]:
    return {name: score.interval for name, score in scores.items()}


def _methods(scored: dict[str, tuple[Role, dict[str, Resampled]]]) -> tuple[Method, ...]:
    methods = []
    for title, (role, scores) in scored.items():
        methods.append(Method(title=title, role=role, scores=_intervals(scores)))
    return tuple(methods)


def _subject(task: Task) -> str:
    """The input and what is asked for: "image → 10 classes"."""
    modality = build.data_class(task.spec).modality
    return f"{modality} \N{RIGHTWARDS ARROW} {task.asked}"

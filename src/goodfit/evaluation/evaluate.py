"""The only stage that opens test data: scores with intervals, baselines, and a verdict.

Letters: N test samples.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.evaluation.baselines import Answered, answers
from goodfit.evaluation.bootstrap import Resampled, Resamples, intervals
from goodfit.evaluation.degenerate import SHUFFLED, Degenerate, degenerate
from goodfit.evaluation.evidence import Opponent
from goodfit.evaluation.examples import ordinary, worst
from goodfit.evaluation.fit import judged
from goodfit.evaluation.verdict import verdict
from goodfit.predictor import Predictor, SampleResults
from goodfit.records import Evaluation, Manifest, Method, Training, Verdict, Weighing
from goodfit.records.fit import Judgement
from goodfit.records.interval import Interval
from goodfit.store.arrays import Packed
from goodfit.store.suited import check_targets
from goodfit.task.base import Task
from goodfit.task.scores import Statistics

Arrays = dict[str, np.ndarray[Any, Any]]


def evaluate(cfg: DictConfig, data: Path, model: Path) -> tuple[Evaluation, Arrays]:
    """Scores of the network and the baselines on the test split of `data`, and all statistics.

    Intervals are 95 % percentiles of `evaluate.resamples` resampled test sets, drawn with seed 0
    and the same for every method; whole clusters are drawn, each row with its weight. The
    arrays (N, ...) are named by method and statistic, beside `clusters` (N,).

    Raises:
        UserError: the model was trained on other data, or a file is missing or broken.
    """
    predictor = _predictor(data, model)
    task = predictor.task
    test = Packed(data, "test")
    results, seconds_per_1000 = _measured(predictor, test)
    baselines = answers(cfg, data, task)
    draws = Resamples(test.clusters, cfg.evaluate.resamples, seed=0, weight=test.sample_weight)
    methods = _statistics(results, baselines)
    charts, typical = task.diagnose(methods), task.typical(methods)
    alike = degenerate(predictor, test)
    if alike:
        baselines[SHUFFLED] = Answered("trivial", None, alike.shuffled, {})
        methods[SHUFFLED] = alike.shuffled
    scores = intervals(task.metrics(), methods, draws, additive=task.additive, ranges=task.ranges)

    rows = _rows(data, "test")
    result = Evaluation(
        experiment=cfg.name,
        task=type(task).__name__,
        model=type(task.model).__name__,
        subject=_subject(task),
        score=task.score,
        modes=task.scores,
        samples=len(test),
        cluster=build.data_class(task.spec).cluster_of(task.spec),
        clusters=draws.units,
        weighing=_weighing(task.spec, draws),
        resamples=cfg.evaluate.resamples,
        test_sha256=Manifest.read(data / "manifest.json").test_sha256,
        weights_sha256=Training.read(model / "train.json").weights_sha256,
        seconds_per_1000=seconds_per_1000,
        network=_intervals(scores["network"]),
        baselines=_methods(baselines, scores),
        verdict=_verdict(task, scores, baselines, alike, draws.units),
        charts=tuple(charts),
        typical=tuple(typical),
        fit=_fit(cfg, data, model, predictor, baselines),
        examples=worst(predictor, results, test, rows, cfg.evaluate.examples),
        ordinary=ordinary(predictor, results, test, rows),
    )
    return result, _arrays(methods) | {"clusters": test.clusters.numpy()}


def _fit(
    cfg: DictConfig,
    data: Path,
    model: Path,
    predictor: Predictor,
    baselines: Mapping[str, Answered],
) -> Judgement | None:
    """How well the network fits, by train and validation; the strong baseline is the first."""
    title, strong = next(iter(baselines.items()))
    opponent = Opponent(title, strong.on_validation)
    return judged(cfg, data, model, predictor, opponent)


def _predictor(data: Path, model: Path) -> Predictor:
    """The model, which must have been trained on these data."""
    predictor = Predictor.load(model)
    # with labels in another order, say, every score would be computed, and wrong
    if predictor.spec != DataSpec.read(data / "spec.json"):
        raise UserError(f"{model} was trained on other data than {data} holds; train again")
    check_targets(predictor.task, data, "test")
    return predictor


def _measured(predictor: Predictor, test: Packed) -> tuple[SampleResults, float]:
    """What the network gives for each sample, and its seconds for a thousand of them.

    It runs over test once: scores, charts and the choice of examples are made of this.
    """
    started = time.monotonic()
    results = predictor.measure(test)
    seconds = time.monotonic() - started
    return results, round(1000 * seconds / len(test), 3)


def _statistics(results: SampleResults, baselines: dict[str, Answered]) -> dict[str, Statistics]:
    """Statistics (N, ...) of each method by title, in the order of `Task.diagnose`."""
    methods = {"network": results.statistics}
    for title, baseline in baselines.items():
        methods[title] = baseline.statistics
    return methods


def _verdict(
    task: Task,
    scores: dict[str, dict[str, Resampled]],
    baselines: dict[str, Answered],
    alike: Degenerate | None,
    drawn: int,
) -> Verdict:
    scored = {title: (baseline.role, scores[title]) for title, baseline in baselines.items()}
    return verdict(
        task.score,
        task.scores[task.score],
        scores["network"],
        scored,
        unit=build.data_class(task.spec).cluster_of(task.spec),
        drawn=drawn,
        weighed_by=task.spec.weighed_by,
        degenerate=alike.text if alike else None,
    )


def _weighing(spec: DataSpec, draws: Resamples) -> Weighing | None:
    """By what samples count, and how many tell as much; None where all count alike."""
    return Weighing(spec.weighed_by, draws.told) if spec.weighed_by else None


def _arrays(methods: dict[str, Statistics]) -> Arrays:
    """All statistics (N, ...) as arrays named <title>.<statistic>, without spaces."""
    arrays = {}
    for title, statistics in methods.items():
        for name, values in statistics.items():
            arrays[f"{title.replace(' ', '_')}.{name}"] = values.numpy()
    return arrays


def _rows(data: Path, split: str) -> pd.DataFrame:
    return pd.read_parquet(data / split / "rows.parquet")


def _intervals(scores: dict[str, Resampled]) -> dict[str, Interval]:
    return {name: score.interval for name, score in scores.items()}


def _methods(
    baselines: dict[str, Answered], scores: dict[str, dict[str, Resampled]]
) -> tuple[Method, ...]:
    methods = []
    for title, baseline in baselines.items():
        method = Method(
            title=title,
            role=baseline.role,
            validation=baseline.validation,
            scores=_intervals(scores[title]),
        )
        methods.append(method)
    return tuple(methods)


def _subject(task: Task) -> str:
    """The input and what is asked for: "image → 10 classes"."""
    modality = build.data_class(task.spec).modality
    return f"{modality} \N{RIGHTWARDS ARROW} {task.asked}"

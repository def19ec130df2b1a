"""The only place that opens test data: scores with intervals, baselines on the same samples, a
verdict.
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
from goodfit.evaluation.bootstrap import Resampled, intervals, resamples
from goodfit.evaluation.examples import worst
from goodfit.evaluation.verdict import verdict
from goodfit.predictor import Predictor
from goodfit.records import Evaluation, Interval, Manifest, Method, Role, Training
from goodfit.store.arrays import Packed
from goodfit.task.base import Task

Arrays = dict[str, np.ndarray[Any, Any]]


class _Answers(NamedTuple):
    """What a baseline says of every test sample, (N, ...)."""

    role: Role
    prediction: Tensor


def evaluate(cfg: DictConfig, data: Path, model: Path) -> tuple[Evaluation, Arrays]:
    """Scores of the network and of the baselines on the test split of `data`, and all predictions.

    Intervals are 95 % percentiles of `evaluate.resamples` resampled test sets, drawn with seed 0
    and the same for every method. The arrays are named network, target, and as the baselines.

    Raises:
        UserError: the model was trained on other data, or a file is missing or broken.
    """
    predictor = Predictor.load(model)
    task = predictor.task
    if predictor.spec != DataSpec.read(data / "spec.json"):
        raise UserError(f"{model} was trained on other data than {data} holds; train again")
    test = Packed(data, "test")

    started = time.monotonic()
    outputs = predictor.raw_outputs(test)
    prediction = task.predict(outputs)
    seconds = time.monotonic() - started

    answers = _baselines(cfg, data, task)
    draws = resamples(len(test), cfg.evaluate.resamples, seed=0)
    network = intervals(task.metrics(), prediction, test.target, draws)
    scored = {}
    for title, answer in answers.items():
        scores = intervals(task.metrics(), answer.prediction, test.target, draws)
        scored[title] = answer.role, scores

    by_title = {title: answer.prediction for title, answer in answers.items()}
    strong_first = sorted(by_title, key=lambda title: answers[title].role != "strong")
    methods = {"network": prediction, **{title: by_title[title] for title in strong_first}}
    result = Evaluation(
        experiment=cfg.name,
        task=type(task).__name__,
        model=type(task.model).__name__,
        subject=_subject(task),
        score=task.score,
        modes=task.scores,
        samples=len(test),
        resamples=cfg.evaluate.resamples,
        test_sha256=Manifest.read(data / "manifest.json").test_sha256,
        weights_sha256=Training.read(model / "train.json").weights_sha256,
        seconds_per_1000=round(1000 * seconds / len(test), 3),
        network=_intervals(network),
        baselines=tuple(
            Method(title=title, role=role, scores=_intervals(scores))
            for title, (role, scores) in scored.items()
        ),
        verdict=verdict(task.score, task.scores[task.score], network, scored),
        charts=tuple(task.diagnose(methods, test.target)),
        typical=tuple(task.typical(methods, test.target)),
        examples=worst(task, outputs, test, _rows(data, "test"), cfg.evaluate.examples),
    )
    arrays = {title.replace(" ", "_"): values.numpy() for title, values in by_title.items()}
    return result, {"network": prediction.numpy(), "target": test.target.numpy(), **arrays}


def _baselines(cfg: DictConfig, data: Path, task: Task) -> dict[str, _Answers]:
    """The trivial baselines and the strong one: fitted, then asked about the inputs of test alone."""
    train, validation = (_labelled(data, split, task.spec) for split in ("train", "validation"))
    test = _samples(data, "test", task.spec)

    strong = build.baseline(cfg)
    started = time.monotonic()
    strong.fit(train, validation, task.spec)
    answers = {strong.title: strong.predict(test)}
    print(f"baseline {strong.title}: {time.monotonic() - started:.1f} s", flush=True)

    roles: dict[str, Role] = {}
    for title, values in task.trivial(train.target, test.inputs, len(test)).items():
        roles[title], answers[title] = "trivial", values
    roles[strong.title] = "strong"
    return {title: _Answers(role, _tensor(answers[title])) for title, role in roles.items()}


def _samples(data: Path, split: str, spec: DataSpec) -> Samples:
    inputs = {name: np.load(data / split / f"{name}.npy", mmap_mode="r") for name in spec.inputs}
    return Samples(inputs, _rows(data, split))


def _labelled(data: Path, split: str, spec: DataSpec) -> LabelledSamples:
    samples = _samples(data, split, spec)
    return LabelledSamples(samples.inputs, samples.rows, np.load(data / split / "target.npy"))


def _rows(data: Path, split: str) -> pd.DataFrame:
    return pd.read_parquet(data / split / "rows.parquet")


def _tensor(values: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def _intervals(scores: dict[str, Resampled]) -> dict[str, Interval]:
    return {name: score.interval for name, score in scores.items()}


def _subject(task: Task) -> str:
    """What goes in and what is asked for."""
    modality = build.data_class(task.spec).modality
    return f"{modality} \N{RIGHTWARDS ARROW} {task.asked}"

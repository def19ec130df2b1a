"""The stage evaluate: test scores to report/<experiment>, and into the model's run."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from goodfit.data.split import SPLITS
from goodfit.evaluation.evaluate import evaluate
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records import Evaluation, Training
from goodfit.reporting.fit import line
from goodfit.store import example
from goodfit.store.manifest import verify
from goodfit.system import allocator
from goodfit.system.files import replacing_file, replacing_folder, write_json
from goodfit.tracking import attach, openings, runs


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: test scores to report/<experiment>, and into the run that trained the model.

    Raises:
        UserError: data or model are not what the stages before wrote, or the database does not
            answer.
    """
    # beam search makes and drops large tensors at each token: 19 s for translation instead of 36
    allocator.keep_freed_memory()
    paths = Paths(cfg.name)
    verify(paths.prepared, *SPLITS)
    run = attach.find_or_recreate(cfg, paths.model)
    with runs.run_status(run):
        evaluation, statistics = evaluate(cfg, paths.prepared, paths.model)
        # before anybody can see a score, so that none is seen and not counted
        evaluation = replace(evaluation, opened_by=openings.opened_by(run, evaluation))
        with replacing_folder(paths.evaluation) as part:
            evaluation.write(part / "evaluation.json")
            np.savez(part / "statistics.npz", **statistics)  # type: ignore[arg-type]
            _answer(paths).to_parquet(part / "answer.parquet", index=False)
            # before the files are in place: a stage that fails leaves none
            attach.log_evaluation(run, cfg, evaluation, part)
        training = Training.read(paths.model / "train.json")
        write_json(paths.metrics, summary(evaluation, training))
        _write_plots(evaluation, paths)
    print(f"{cfg.name}: {evaluation.verdict.text}")
    print(f"{cfg.name}: {line(evaluation.fit)}")
    opened = openings.meaning(evaluation) or f"test {openings.said(evaluation)}"
    print(f"{cfg.name}: {opened}")


def summary(evaluation: Evaluation, training: Training) -> dict[str, Any]:
    """The few numbers that `dvc metrics show` prints."""
    score, headline = evaluation.score, evaluation.headline
    return {
        score: {"value": headline.value, "low": headline.low, "high": headline.high},
        "baseline": evaluation.strong.scores[score].value,
        "verdict": evaluation.verdict.word,
        "fit": str(evaluation.fit.fit) if evaluation.fit else None,
        "test_openings": len(evaluation.opened_by),
        "gap": training.scores[f"gap/{score}"],
        "seconds": training.cost.seconds,
        "parameters": training.cost.parameters,
    }


def _answer(paths: Paths) -> pd.DataFrame:
    """What the model says of the example rows: register logs it without importing torch."""
    return Predictor.load(paths.model).predict(example.read(paths.prepared))


def _write_plots(evaluation: Evaluation, paths: Paths) -> None:
    """The two tables that `dvc plots show` draws."""
    scores = [["network", evaluation.headline.value]]
    for baseline in evaluation.baselines:
        scores.append([baseline.title, baseline.scores[evaluation.score].value])
    _write_table(paths.scores, ["method", "score"], scores)

    history = pd.read_csv(paths.model / "history.csv")
    curves = []
    for split, column in (("train", "train/loss"), ("validation", "val/loss")):
        for epoch, loss in zip(history["epoch"], history[column], strict=True):
            curves.append([int(epoch) + 1, split, loss])
    _write_table(paths.curves, ["epoch", "split", "loss"], curves)


def _write_table(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with replacing_file(path) as part, part.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])

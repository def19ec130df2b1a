"""A table that no line divides: the network's opponent is the boosting, from stage to stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import tiny
from omegaconf import DictConfig
from rich.console import Console

from goodfit import build
from goodfit.config import tree
from goodfit.config.check import check
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.records import Evaluation
from goodfit.reporting import results
from goodfit.reporting.table import table
from goodfit.schema import Source
from goodfit.stages import evaluate, report
from goodfit.store.prepare import prepare

pytestmark = pytest.mark.slow
LINEAR, TREES = "logistic regression", "gradient boosting"


def chess_board(path: Path) -> None:
    """1,200 rows of which neither column tells the class, and both together do."""
    rng = np.random.default_rng(0)
    area, age = rng.uniform(20, 200, (2, 1200)).round(1)
    town = rng.choice(["Ulm", "Bonn", ""], 1200)
    bought = np.where((area > 110) ^ (age > 110), "yes", "no")
    frame = pd.DataFrame({"area": area, "age": age, "town": town, "bought": bought})
    frame.to_csv(path, index=False)


def configured(folder: Path, home: Callable[..., DictConfig]) -> DictConfig:
    """The two baselines of the issue on the table, which is prepared."""
    chess_board(folder / "board.csv")
    two = {name: tiny.section("baseline", name) for name in ("logistic", "boosting")}
    source = {"table": {"file": "board.csv", "sha256": None}}
    cfg = home("table-class", name="board", baseline=two, data={"sources": source})
    check(cfg)
    data = build.data_set(cfg)
    assert data.origins == {"table": Source(file="board.csv", sha256=None)}
    prepare(
        data,
        {"table": folder / "board.csv"},
        Paths("board").prepared,
        made_with=tree.data_section(cfg),
    )
    return cfg


def shown(name: str) -> str:
    """The comparison of an experiment on a wide terminal."""
    console = Console(width=132, color_system=None)
    with console.capture() as capture:
        console.print(table([name], console))
    return capture.get()


@pytest.mark.fault(62)
def test_the_verdict_page_results_and_run_name_the_strongest_of_several(
    home: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = configured(tmp_path, home)
    paths = Paths("board")
    fit(cfg, out=paths.model)
    evaluate.stage(cfg)

    result = Evaluation.read(paths.evaluation / "evaluation.json")
    by_title = {item.title: item for item in result.baselines}
    weak, strong = by_title[LINEAR], by_title[TREES]
    assert (weak.role, strong.role) == ("other", "strong")
    assert weak.validation is not None
    assert strong.validation is not None
    assert weak.validation < 0.65 < 0.9 < strong.validation
    # it beats the linear one, by which alone it would look good
    against = {item.title: item.outcome for item in result.verdict.against}
    assert (against[LINEAR], against[TREES]) == (1, -1)
    assert result.verdict.word == "loses to"
    assert result.verdict.text.startswith(f"the network loses to {TREES}: ")
    assert json.loads(paths.metrics.read_text())["baseline"] == strong.scores["accuracy"].value

    report.stage(cfg)
    page = paths.page.read_text()
    assert f"Of 2 baselines {TREES} is the strongest on validation." in page
    assert page.count("strongest on validation</small>") == 1
    assert f"{TREES}<small>strongest on validation</small>" in page
    assert f"{strong.validation:.3f}" in page

    section = results.section("board")
    assert (
        f"| {TREES} | strong | {strong.validation:.4f} | {strong.scores['accuracy'].value:.4f} "
        in section
    )
    assert f"| {LINEAR} | other | {weak.validation:.4f} | " in section

    lines = shown("board").splitlines()
    first = next(index for index, line in enumerate(lines) if "board" in line)
    assert TREES in lines[first]
    assert "loses to" in lines[first]
    assert LINEAR in lines[first + 1]
    assert any("the strongest on validation" in line for line in lines)

    run = mlflow.MlflowClient(cfg.tracking.uri).search_runs(["1"])[0].data
    assert run.tags["goodfit.strongest_baseline"] == TREES
    assert run.metrics["baseline_accuracy_gradient_boosting_val"] == strong.validation
    assert run.metrics["baseline_accuracy_logistic_regression_val"] == weak.validation
    assert run.metrics["baseline_accuracy_logistic_regression"] == weak.scores["accuracy"].value

"""Which of several models is champion: real trainings, evaluations and a real registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_tables import table
from omegaconf import DictConfig

from goodfit.config import tree
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.stages import evaluate, register, report
from goodfit.store.prepare import prepare
from goodfit.system.files import sha256
from goodfit.tracking.database import connect

# of MLflow with pandas 3
IGNORED = "ignore:Operation with range:pandas.errors.Pandas4Warning"
pytestmark = [pytest.mark.slow, pytest.mark.fault(60), pytest.mark.filterwarnings(IGNORED)]
Home = Callable[..., DictConfig]
GOOD = {"trainer": {"max_epochs": 40}, "optimizer": {"lr": 0.02}}


def put_data(cfg: DictConfig, rows: int, *, seed: int = 0) -> None:
    """Prepared data in which the sign of a + b is asked for; a quarter of them is test."""
    numbers = np.random.default_rng(seed).normal(size=(rows, 2)).round(3)
    content = pd.DataFrame({"a": numbers[:, 0], "b": numbers[:, 1]})
    content["y"] = np.where(numbers.sum(1) > 0, "up", "down")
    content.to_csv("t.csv", index=False)
    folder = Path("data/prepared/tiny")
    shutil.rmtree(folder, ignore_errors=True)
    prepare(table(), {"table": Path("t.csv")}, folder, made_with=tree.data_section(cfg))


def train(cfg: DictConfig, *, blind: bool = False) -> None:
    """A model in models/tiny; a `blind` one does not see the column b."""
    folder = Paths(cfg.name).model
    shutil.rmtree(folder, ignore_errors=True)
    fit(cfg, out=folder)
    if blind:
        weights = torch.load(folder / "weights.pt")
        first = next(name for name, array in weights.items() if array.ndim == 2)
        weights[first][:, 1] = 0.0
        torch.save(weights, folder / "weights.pt")
        facts = json.loads((folder / "train.json").read_text())
        facts["weights_sha256"] = sha256(folder / "weights.pt")
        (folder / "train.json").write_text(json.dumps(facts))


def registered(cfg: DictConfig) -> tuple[str, str]:
    """What register says of the present model, and which version is champion."""
    for stage in (evaluate, report, register):
        stage.stage(cfg)
    said = json.loads(Paths(cfg.name).registered.read_text())
    aliases = connect(cfg.tracking.uri).get_registered_model("tiny").aliases
    return said["reason"], str(aliases.get("champion", "nobody"))


def test_the_alias_follows_the_paired_interval_and_nothing_else(home: Home) -> None:
    cfg = home("table-class", **GOOD, evaluate={"resamples": 1000})
    put_data(cfg, 1200)
    train(cfg, blind=True)
    assert registered(cfg)[1] == "1"

    train(cfg)
    reason, champion = registered(cfg)
    assert champion == "2", reason
    assert reason.startswith("champion: better by +0.")

    other = home("table-class", **GOOD, evaluate={"resamples": 1000}, seed=5)
    train(other)
    reason, champion = registered(other)
    assert champion == "2"
    assert "not shown to be better than the present one: better by " in reason

    train(cfg, blind=True)  # its run is another one
    reason, champion = registered(cfg)
    assert champion == "2"
    by_its_evaluation = reason

    # the champion's run has lost what evaluate kept: its registered model answers once more
    client = connect(cfg.tracking.uri)
    present = client.get_model_version("tiny", "2")
    artifacts = Path(client.get_run(str(present.run_id)).info.artifact_uri.removeprefix("file://"))
    shutil.rmtree(artifacts / "evaluation")
    train(home("table-class", **GOOD, evaluate={"resamples": 1000}, seed=6), blind=True)
    reason, champion = registered(cfg)
    assert champion == "2"
    assert "not shown to be better" in by_its_evaluation
    assert "not shown to be better" in reason

    # and its model is gone as well
    for weights in Path("mlruns").rglob("weights.pt"):
        weights.unlink()
    train(home("table-class", **GOOD, evaluate={"resamples": 1000}, seed=7), blind=True)
    reason, champion = registered(cfg)
    assert champion == "2"
    assert "no comparison with the present one: version 2" in reason

    put_data(cfg, 1200, seed=1)
    train(cfg)
    reason, champion = registered(cfg)
    assert champion == "2"
    assert "scores on different data do not compare" in reason


@pytest.mark.fault(58)
def test_a_test_set_of_a_few_rows_makes_no_champion(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = home("table-class", **GOOD)
    put_data(cfg, 60)
    train(cfg)
    reason, champion = registered(cfg)
    assert champion == "nobody"
    assert reason == "not champion: too few to tell: test has 14 samples, it takes 30"
    assert "tiny: too few to tell (test has 14 samples, it takes 30)" in capsys.readouterr().out
    page = Paths(cfg.name).page.read_text()
    assert "Too few to tell (test has 14 samples, it takes 30)" in page
    interval = json.loads((Paths(cfg.name).evaluation / "evaluation.json").read_text())
    accuracy = interval["network"]["accuracy"]
    assert accuracy["low"] < accuracy["high"]


@pytest.mark.fault(59)
def test_a_network_of_one_answer_is_no_champion_and_it_is_said(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = home("table-class", trainer={"max_epochs": 1}, optimizer={"lr": 1e-9})
    put_data(cfg, 400)
    train(cfg)
    folder = Paths(cfg.name).model
    weights = torch.load(folder / "weights.pt")
    for name, array in weights.items():
        if not name.startswith("task:"):  # of what the task has learned, no part is a weight
            array.zero_()
    torch.save(weights, folder / "weights.pt")
    facts = json.loads((folder / "train.json").read_text())
    facts["weights_sha256"] = sha256(folder / "weights.pt")
    (folder / "train.json").write_text(json.dumps(facts))

    reason, champion = registered(cfg)
    assert champion == "nobody"
    assert reason.endswith("which is trivial; it answers 'down' for every test sample")
    assert "it answers 'down' for every test sample" in capsys.readouterr().out
    assert "It answers &#39;down&#39; for every test sample" in Paths(cfg.name).page.read_text()

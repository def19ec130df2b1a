"""From a column of weights to the page: what it changes, and what it must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from omegaconf import DictConfig

from goodfit import build
from goodfit.config import tree
from goodfit.config.check import check
from goodfit.evaluation import champion
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records import Evaluation, Training
from goodfit.stages import evaluate, report
from goodfit.store.loader import Shard
from goodfit.store.prepare import prepare
from goodfit.training.datamodule import DataModule

pytestmark = pytest.mark.slow
Home = Callable[..., DictConfig]


def cells() -> pd.DataFrame:
    """400 rows in which y rises with x for those that weigh 9, and falls for those that weigh 1."""
    rng = np.random.default_rng(0)
    x, persons = rng.normal(size=400).round(3), rng.choice([1, 9], 400)
    y = np.where(persons == 9, x, -x) + rng.normal(0, 0.1, 400)
    return pd.DataFrame({"x": x, "persons": persons, "y": y.round(3)})


def made(home: Home, name: str, rows: pd.DataFrame, weight: str | None) -> DictConfig:
    """The configuration of a table, which is prepared."""
    folder = Path.cwd()
    source = {"table": {"file": f"{name}.csv", "sha256": None}}
    data = {"sources": source, "label": "y", "kind": "number", "weight": weight}
    data["drop"] = [] if weight or "persons" not in rows else ["persons"]
    two = {each: tiny.section("baseline", each) for each in ("ridge", "boosting")}
    cfg = home("table-number", name=name, data=data)
    cfg.baseline, cfg.task = two, tiny.section("task", "regression")
    cfg.trainer.max_epochs, cfg.early_stopping.patience = 12, None
    cfg.optimizer.lr = 0.01
    check(cfg)
    raw = folder / f"{name}.csv"
    rows.to_csv(raw, index=False)
    prepare(
        build.data_set(cfg),
        {"table": raw},
        Paths(name).prepared,
        made_with=tree.data_section(cfg),
    )
    return cfg


def weights_of(cfg: DictConfig) -> str:
    """The hash of the weights that are trained."""
    fit(cfg, out=Paths(cfg.name).model)
    return Training.read(Paths(cfg.name).model / "train.json").weights_sha256


@pytest.mark.parametrize("persons", [1, 3])
def test_weights_that_are_all_equal_train_the_weights_of_none(home: Home, persons: int) -> None:
    rows = cells().assign(persons=persons)
    assert weights_of(made(home, "alike", rows, "persons")) == weights_of(
        made(home, "without", rows, None)
    )


@pytest.mark.fault(74)
def test_the_network_learns_what_the_weighty_rows_say_and_the_page_tells_by_what(
    home: Home,
) -> None:
    cfg = made(home, "weighed", cells(), "persons")
    paths = Paths("weighed")
    fit(cfg, out=paths.model)
    predictor = Predictor.load(paths.model)
    low, high = predictor.predict(pd.DataFrame({"x": [-1.0, 1.0]}))["value"]
    # nine of ten say that y is x, one that it is -x: 0.8 x
    assert (low, high) == pytest.approx((-0.8, 0.8), abs=0.25)
    with_more = predictor.predict(pd.DataFrame({"x": [-1.0, 1.0], "persons": ["", "many"]}))
    assert with_more["value"].tolist() == [low, high]

    evaluate.stage(cfg)
    result = Evaluation.read(paths.evaluation / "evaluation.json")
    assert result.weighing is not None
    assert (result.weighing.column, result.clusters) == ("persons", result.samples)
    assert result.weighing.told < 0.8 * result.samples
    by_title = {method.title: method for method in result.baselines}
    # each errs by 2 |x| on the light rows alone: those that do not weigh would err on all
    for title in ("ridge regression", "gradient boosting"):
        assert by_title[title].scores["rmse"].value == pytest.approx(0.6, abs=0.2)
    assert result.verdict.text.endswith("scores weigh rows by 'persons'")
    report.stage(cfg)
    page = " ".join(paths.page.read_text().split())
    assert "Scores weigh each sample by its <b>persons</b>" in page

    # the champion that is compared with itself is as good, by the weights that it was scored with
    outcome, difference = champion.paired(
        paths.model, result, paths.evaluation, champion.stored(paths.evaluation)
    )
    assert (outcome, difference.value) == (0, 0)
    again = champion.answers(paths.model, paths.prepared)
    assert torch.equal(again["sample_weight"], champion.stored(paths.evaluation)["sample_weight"])


def test_parts_of_a_step_weigh_what_their_rows_weigh(home: Home) -> None:
    cfg = made(home, "weighed", cells(), "persons")
    task = build.task(cfg, DataModule(Paths("weighed").prepared, batch_size=16, seed=0).spec)
    steps = []
    for rank in (0, 1):
        data = DataModule(
            Paths("weighed").prepared,
            batch_size=16,
            seed=0,
            shard=Shard(rank, 2),
            units=task.units,
        )
        steps.append(list(data.train_dataloader()))
    for first, second in zip(*steps, strict=True):
        assert first.sample_weight is not None
        assert second.sample_weight is not None
        sums = first.sample_weight.sum(), second.sample_weight.sum()
        assert first.weight == pytest.approx(float(2 * sums[0] / (sums[0] + sums[1])))
        assert first.weight + second.weight == pytest.approx(2)

"""A training that ends within an epoch: each value of its curve was measured, on what it keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cutting
import pytest
import pytorch_lightning as pl
import tiny
from cutting import cut, same
from omegaconf import DictConfig

from goodfit.config.check import check
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.records import Training
from goodfit.tracking import database

pytestmark = pytest.mark.fault(36)
Home = Callable[..., DictConfig]


def rows_of(model: Path) -> list[dict[str, float]]:
    """The rows of history.csv, as numbers."""
    rows = []
    for row in cutting.history(model):
        rows.append({name: float(value) for name, value in row.items()})
    return rows


def short(home: Home, **trainer: Any) -> DictConfig:
    """Four steps an epoch, so large that the weights before and after each have other scores."""
    return tiny.calm(home(trainer=trainer, loader={"batch_size": 8}, optimizer={"lr": 0.02}))


@pytest.mark.slow
@pytest.mark.parametrize(("epochs", "extra"), [(0, 1), (1, 0), (1, 1), (2, 3)])
def test_what_max_steps_cuts_is_validated_as_it_is_kept(
    home: Home, tmp_path: Path, epochs: int, extra: int
) -> None:
    steps = epochs * 4 + extra
    cfg = short(home, max_steps=steps)
    done = fit(cfg, out=tmp_path / "model")
    assert done

    training = Training.read(tmp_path / "model/train.json")
    rows = rows_of(tmp_path / "model")
    best = min(rows, key=lambda row: row["val/loss"])
    assert training.steps == steps
    assert training.epochs == len(rows) == epochs + bool(extra)
    assert training.best_epoch == best["epoch"]
    # the kept weights are measured anew, in a network of their own
    assert done.score == pytest.approx(best["val/loss"], rel=1e-5)
    assert len({row["val/loss"] for row in rows}) == len(rows)

    client = database.connect(cfg.tracking.uri)
    logged = client.get_metric_history(done.run_id, "val/loss")
    assert [metric.value for metric in logged] == [row["val/loss"] for row in rows]


@pytest.mark.parametrize("least", [{"min_epochs": 3}, {"min_steps": 9}])
def test_max_steps_ends_before_the_least_that_is_asked_for(
    home: Home, tmp_path: Path, least: dict[str, int]
) -> None:
    fit(short(home, max_steps=5, **least), out=tmp_path / "model")
    rows = rows_of(tmp_path / "model")
    assert Training.read(tmp_path / "model/train.json").steps == 5
    assert len({row["val/loss"] for row in rows}) == len(rows) == 2


class Slow(pl.Callback):
    """Each step takes a while."""

    def on_train_batch_end(self, *arguments: Any) -> None:
        time.sleep(0.25)


@pytest.mark.slow
def test_what_max_time_cuts_is_validated_as_well(home: Home, tmp_path: Path) -> None:
    cfg = short(home, max_time="00:00:00:01", max_epochs=50)
    done = fit(cfg, out=tmp_path / "model", callbacks=[Slow()])
    assert done

    rows = rows_of(tmp_path / "model")
    assert len({row["val/loss"] for row in rows}) == len(rows)
    best = min(rows, key=lambda row: row["val/loss"])
    kept = Training.read(tmp_path / "model/train.json")
    assert kept.best_epoch == best["epoch"]
    # not the loss: the temperature, which is chosen afterwards, may make it smaller
    assert kept.scores["val/accuracy"] == pytest.approx(best["val/accuracy"])


@pytest.mark.slow
def test_a_stop_at_the_last_step_is_met_after_its_validation(home: Home, tmp_path: Path) -> None:
    """Saved before it, nothing would be left to do but to keep the epoch before."""
    cfg = short(home, max_steps=6)
    cut(cfg, 1, 1)
    fit(cfg, out=tmp_path / "model")
    cfg.resume = "never"
    fit(cfg, out=tmp_path / "whole")
    assert same(tmp_path / "model", tmp_path / "whole")


@pytest.mark.slow
def test_a_training_cut_before_max_steps_goes_on_to_them(home: Home, tmp_path: Path) -> None:
    cfg = short(home, max_steps=7)
    cut(cfg, 1, 0)
    fit(cfg, out=tmp_path / "model")
    fit(cfg, out=tmp_path / "whole")
    assert same(tmp_path / "model", tmp_path / "whole")


def test_a_stop_is_met_in_an_epoch_that_only_min_epochs_asks_for(home: Home) -> None:
    cfg = short(home, min_epochs=3)
    cfg.early_stopping = {"patience": 1, "min_delta": 100.0}
    cut(cfg, 2, 1)


@pytest.mark.parametrize("interval", [0.5, 0.7, 3, 1])
def test_a_validation_amid_an_epoch_is_refused(home: Home, interval: float) -> None:
    cfg = home(trainer={"val_check_interval": interval})
    with pytest.raises(UserError, match=r"trainer\.val_check_interval"):
        check(cfg)


def test_a_duration_that_the_timer_does_not_read_is_refused(home: Home) -> None:
    with pytest.raises(UserError, match=r"trainer\.max_time: expected days, hours, minutes"):
        check(home(trainer={"max_time": "12 hours"}))


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_share_of_a_split_that_is_no_batch_is_a_users_mistake(home: Home, split: str) -> None:
    with pytest.raises(UserError, match=rf"the section trainer .* 0.01 of the `{split}_dataloader"):
        fit(home(trainer={f"limit_{split}_batches": 0.01}), out=Path("model"))

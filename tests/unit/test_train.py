"""Training can be repeated, keeps what it scores, stops before harm, and never opens test data."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cutting
import numpy as np
import pytest
import tiny
import torch
from cutting import weights
from omegaconf import DictConfig, OmegaConf

from goodfit import build
from goodfit.config import tree
from goodfit.errors import NonFiniteLossError, UserError
from goodfit.launch.fit import fit
from goodfit.provenance import environment
from goodfit.provenance.changes import Changes
from goodfit.provenance.environment import Commit
from goodfit.system.files import read_json, sha256, write_json
from goodfit.tracking import database, runs

if TYPE_CHECKING:
    from goodfit.task.base import Task

Home = Callable[..., DictConfig]


def history(model: Path) -> list[dict[str, float]]:
    """The rows of history.csv, as numbers, without the times."""
    rows = []
    for row in cutting.history(model):
        rows.append({name: float(value) for name, value in row.items()})
    return rows


def statuses(cfg: DictConfig) -> list[str]:
    """Of the runs in the experiment that all trainings here belong to."""
    client = database.connect(cfg.tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return [run.info.status for run in client.search_runs([experiment.experiment_id])]


def runs_in_all(cfg: DictConfig) -> int:
    """How many runs the database holds."""
    client = database.connect(cfg.tracking.uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    return len(client.search_runs(experiments))


def test_the_same_seed_gives_the_same_history_and_weights_bit_by_bit(
    home: Home, trained: Any, tmp_path: Path
) -> None:
    fit(home(), out=tmp_path / "again")
    first, again = trained[0] / "model", tmp_path / "again"
    assert history(again) == history(first)
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(first).items())


def test_another_seed_gives_another_history(home: Home, trained: Any, tmp_path: Path) -> None:
    fit(home(seed=1), out=tmp_path / "other")
    assert history(tmp_path / "other") != history(trained[0] / "model")


@pytest.mark.slow
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_score_is_that_of_the_weights_that_are_kept(
    home: Home, tmp_path: Path, average: float
) -> None:
    """Without dropout, so that an average that was not saved cannot hide in noise."""
    done = fit(tiny.calm(home(average=average, optimizer={"lr": 0.05})), out=tmp_path / "model")
    facts = read_json(tmp_path / "model/train.json")
    rows = history(tmp_path / "model")
    best = min(rows, key=lambda row: row["val/loss"])
    assert facts["best_epoch"] == best["epoch"]
    assert done.score == facts["scores"]["val/loss"] == pytest.approx(best["val/loss"], rel=1e-5)
    assert facts["scores"]["val/accuracy"] == pytest.approx(best["val/accuracy"])


@pytest.mark.slow
def test_an_average_of_the_weights_is_not_the_last_weights(home: Home, tmp_path: Path) -> None:
    for name, average in (("plain", 0.0), ("average", 0.9)):
        fit(home(average=average, trainer={"max_epochs": 1}), out=tmp_path / name)
    plain, average = weights(tmp_path / "plain"), weights(tmp_path / "average")
    assert any(not torch.equal(plain[name], average[name]) for name in plain)


def test_a_gap_is_validation_minus_train(trained: Any) -> None:
    folder = trained[0] / "model"
    scores = read_json(folder / "train.json")["scores"]
    gaps = [name for name in scores if name.startswith("gap/")]
    assert {"gap/loss", "gap/accuracy"} <= set(gaps)
    for gap in gaps:
        name = gap.removeprefix("gap/")
        assert scores[gap] == scores[f"val/{name}"] - scores[f"train/{name}"] != 0, name
    for row in history(folder):
        assert row["gap/loss"] == pytest.approx(row["val/loss"] - row["train/loss"], abs=1e-12)


def test_the_row_of_the_run_is_the_row_of_the_history(trained: Any) -> None:
    folder, cfg, done = trained
    logged = database.connect(cfg.tracking.uri).get_metric_history(done.run_id, "val/loss")
    written = [row["val/loss"] for row in history(folder / "model")]
    assert [metric.value for metric in logged] == written


def test_a_finished_training_is_finished_in_mlflow(trained: Any) -> None:
    _, cfg, done = trained
    run = database.connect(cfg.tracking.uri).get_run(done.run_id)
    assert run.info.status == runs.FINISHED


def test_training_learns(trained: Any) -> None:
    rows = history(trained[0] / "model")
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]


def spoil(home: Path, row: int) -> None:
    """One training sample is infinite, as if prepare had let it pass."""
    folder = home / "data/prepared/tiny"
    array = np.load(folder / "train/numbers.npy")
    array[row] = np.inf
    np.save(folder / "train/numbers.npy", array)
    manifest = read_json(folder / "manifest.json")
    manifest["files"]["train/numbers.npy"] = sha256(folder / "train/numbers.npy")
    write_json(folder / "manifest.json", manifest)


def test_data_that_changed_after_they_were_prepared_are_refused_before_a_run_is_made(
    home: Home, tmp_path: Path
) -> None:
    cfg = home()
    path = tmp_path / "data/prepared/tiny/train/numbers.npy"
    np.save(path, np.load(path) * 2)
    before = runs_in_all(cfg)
    with pytest.raises(UserError, match="fails its checksum: it is not what prepare wrote"):
        fit(cfg, out=Path("model"))
    assert runs_in_all(cfg) == before


def failed(cfg: DictConfig, monkeypatch: pytest.MonkeyPatch) -> tuple[Task, str]:
    """The network that a training with a non-finite loss leaves behind, and the message."""
    made: list[Task] = []
    real = build.task

    def remember(*arguments: Any) -> Task:
        made.append(real(*arguments))
        return made[0]

    monkeypatch.setattr(build, "task", remember)
    with pytest.raises(NonFiniteLossError) as error:
        fit(cfg, out=Path("model"))
    return made[0], str(error.value)


@pytest.mark.fault(18)
def test_a_loss_that_is_not_finite_stops_before_the_step(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = home()
    spoil(tmp_path, 5)
    task, _ = failed(cfg, monkeypatch)
    assert all(torch.isfinite(value).all() for value in task.parameters())


@pytest.mark.fault(18)
def test_the_message_names_the_samples_of_the_batch(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = home(loader={"batch_size": 4})
    spoil(tmp_path, 5)
    _, message = failed(cfg, monkeypatch)
    rows = message.partition("[")[2].partition("]")[0].split(", ")
    assert "5" in rows
    assert "at epoch 0 step" in message


@pytest.mark.fault(18)
def test_a_training_that_failed_is_failed_in_mlflow_and_leaves_no_model(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = home()
    spoil(tmp_path, 5)
    failed(cfg, monkeypatch)
    assert statuses(cfg) == [runs.FAILED]
    assert not Path("model").exists()


def test_training_works_without_test_data(home: Home, tmp_path: Path, trained: Any) -> None:
    cfg = home()
    shutil.rmtree(tmp_path / "data/prepared/tiny/test")
    done = fit(cfg, out=tmp_path / "model")
    assert done.score == trained[2].score


@pytest.mark.slow
@pytest.mark.parametrize(("patience", "epochs"), [(2, 3), (0.3, 4), (None, 9)])
def test_training_stops_when_nothing_gets_better(
    home: Home, tmp_path: Path, patience: float | None, epochs: int
) -> None:
    """After so many epochs, or after a share of all, rounded up; or never."""
    stopping = {"patience": patience, "min_delta": 100.0}
    fit(home(trainer={"max_epochs": 9}, early_stopping=stopping), out=tmp_path / "model")
    assert read_json(tmp_path / "model/train.json")["epochs"] == epochs


def test_a_batch_size_that_would_leave_a_single_sample_trains_on_all(
    home: Home, tmp_path: Path
) -> None:
    cfg = home()
    samples = len(np.load("data/prepared/tiny/train/target.npy"))
    cfg.loader.batch_size = samples - 1
    fit(cfg, out=tmp_path / "model")
    facts = read_json(tmp_path / "model/train.json")
    assert facts["steps"] == facts["epochs"]


@pytest.mark.slow
def test_sigterm_ends_with_143_and_the_run_is_killed(home: Home, tmp_path: Path) -> None:
    cfg = home(trainer={"max_epochs": 100_000}, early_stopping={"patience": None})
    for name in ("pipelines", "conf"):
        shutil.copytree(tiny.ROOT / name, tmp_path / name)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/tiny.json").write_text(tree.dump(OmegaConf.to_container(cfg)))  # type: ignore[arg-type]
    command = [sys.executable, "pipelines/train.py", "build/tiny.json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert statuses(cfg) == [runs.KILLED]
    assert not (tmp_path / "models").exists()
    last_line = errors.splitlines()[-1]
    assert last_line == "goodfit: SIGTERM: stopping after this step, with a checkpoint"


def test_data_prepared_with_another_section_are_refused_before_a_run_is_made(home: Home) -> None:
    changed = home(data={"split_seed": 7})
    with pytest.raises(
        UserError, match=r"prepared with data.split_seed=0, got 7.*dvc repro prepare@tiny"
    ):
        fit(changed)
    assert database.connect(changed.tracking.uri).get_experiment_by_name("tiny") is None


@pytest.mark.slow
def test_the_commit_is_that_of_the_start(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As if somebody had committed while the network was trained."""
    commits = iter(["first", "second", "third"])
    monkeypatch.setattr(environment, "commit", lambda: Commit(next(commits), "false", Changes()))
    done = fit(home(), out=tmp_path / "model")
    assert read_json(tmp_path / "model/train.json")["commit"] == "first"
    run = database.connect(home().tracking.uri).get_run(done.run_id)
    assert run.data.tags["mlflow.source.git.commit"] == "first"

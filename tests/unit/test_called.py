"""`fit` called by a notebook or a service: from a thread, twice at once, in another folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from cutting import same
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.tracking import database

pytestmark = pytest.mark.fault(38)
Home = Callable[..., DictConfig]


def in_a_thread(cfg: DictConfig, **options: Any) -> object:
    """What `fit` gives in a thread, or raises there."""
    given: list[object] = []

    def train() -> None:
        try:
            given.append(fit(cfg, **options))
        except BaseException as error:
            given.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    return given[0]


def runs_of(cfg: DictConfig) -> list[str]:
    """The status of each run of the experiment."""
    client = database.connect(cfg.tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    if experiment is None:
        return []
    return [run.info.status for run in client.search_runs([experiment.experiment_id])]


@pytest.mark.slow
@pytest.mark.parametrize("loader", [{}, {"workers": 2}])
def test_a_thread_trains_what_the_main_thread_trains(
    home: Home, trained: Any, tmp_path: Path, loader: dict[str, int]
) -> None:
    cfg = home(loader=loader)
    done = in_a_thread(cfg, out=tmp_path / "model")
    assert getattr(done, "score", done) == trained[2].score
    assert same(tmp_path / "model", trained[0] / "model")
    assert runs_of(cfg) == ["FINISHED"]


@pytest.mark.slow
def test_several_devices_are_launched_from_a_thread(home: Home, tmp_path: Path) -> None:
    cfg = home(trainer={"devices": 2, "strategy": "ddp"})
    done = in_a_thread(cfg, out=tmp_path / "model")
    assert getattr(done, "folder", done) == tmp_path / "model"


class Second(pl.Callback):
    """Tries to train a second time, in another thread, while the first trains."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.given: object = None

    def on_train_epoch_start(self, trainer: pl.Trainer, task: object) -> None:
        if trainer.current_epoch == 1:
            self.given = in_a_thread(self.cfg, out=Path("second"))


@pytest.mark.slow
def test_two_threads_do_not_draw_from_the_same_random_numbers(
    home: Home, trained: Any, tmp_path: Path
) -> None:
    """The second is refused before it has a run, and does not disturb the first."""
    cfg = home()
    second = Second(home(seed=1, name="tiny"))
    fit(cfg, out=tmp_path / "model", callbacks=[second])
    assert isinstance(second.given, UserError)
    assert str(second.given).startswith("this process trains already, in another thread")
    assert same(tmp_path / "model", trained[0] / "model")
    assert runs_of(cfg) == ["FINISHED"]
    fit(second.cfg, out=tmp_path / "later")


def test_a_folder_that_is_not_the_projects_is_named_before_anything_is_written(
    home: Home, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = home()
    notebooks = tmp_path_factory.mktemp("notebooks")
    monkeypatch.chdir(notebooks)
    with pytest.raises(UserError, match=f"there is no data/prepared/tiny in {notebooks}; "):
        fit(cfg)
    assert list(notebooks.iterdir()) == []
    assert runs_of(cfg) == []

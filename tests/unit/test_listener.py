"""A sweep's runs in MLflow: written before the next worker is forked, right after a resume too."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from goodfit.errors import UserError
from goodfit.search import confirm
from goodfit.search.listener import Tracking, parent_attribute, parent_run_id
from goodfit.system.processes import identity
from goodfit.tracking import database, runs
from hydra_plugins.hydra_optuna_sweeper._space import Space

Home = Callable[..., DictConfig]


def sweep_of(cfg: DictConfig) -> Any:
    """What a listener reads of a sweep."""
    options = OmegaConf.create({"storage": None})
    url = "postgresql://host/optuna"  # which other processes may help with
    return SimpleNamespace(config=cfg, space=Space({}), options=options, url=url)


def parent_run(study: optuna.Study, uri: str) -> Any:
    run_id = parent_run_id(study, uri)
    assert run_id is not None
    return database.connect(uri).get_run(run_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "word"),
    [(TrialState.COMPLETE, "complete"), (TrialState.PRUNED, "pruned"), (TrialState.FAIL, "failed")],
)
def test_after_a_trial_its_tag_is_stored_and_no_thread_is_in_the_database(
    home: Home, state: TrialState, word: str
) -> None:
    """A worker that is forked while a thread is in SQLite waits for ever: its mutexes are inherited
    locked.
    """
    uri = str(home().tracking.uri)
    parent = runs.start(uri, "tiny", "sweep", tags={}, params={})
    tags = {"goodfit.study": "s", "goodfit.trial": "0", "mlflow.parentRunId": parent.run_id}
    child = runs.start(uri, "tiny", "trial", tags=tags, params={})
    study = optuna.create_study(study_name="s")
    study.set_user_attr(parent_attribute(uri), parent.run_id)
    study.add_trial(
        optuna.create_trial(state=state, value=0.5 if state == TrialState.COMPLETE else None)
    )
    listener = Tracking(top=0, seeds=3)
    listener.uri = uri
    listener.trial_ended(study, study.trials[0])
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        query = "select value from tags where run_uuid = ? and key = 'goodfit.trial_state'"
        assert database.execute(query, [child.run_id]).fetchall() == [(word,)]


def test_a_stopped_sweep_that_goes_on_is_no_longer_called_stopped(home: Home) -> None:
    cfg = home()
    study, listener = optuna.create_study(study_name="s"), Tracking(top=0, seeds=3)
    listener.began(study, sweep_of(cfg))
    listener.stopped(study)
    stopped = parent_run(study, cfg.tracking.uri)
    assert stopped.info.status == runs.KILLED
    assert stopped.data.tags["goodfit.ended"].startswith("the sweep was stopped")
    listener.began(study, sweep_of(cfg))
    resumed = parent_run(study, cfg.tracking.uri)
    assert resumed.info.status == runs.RUNNING
    assert "goodfit.ended" not in resumed.data.tags


def test_a_sweep_that_ends_well_is_not_called_stopped_by_another_one_on_its_study(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirm, "confirm", lambda *_, **__: ["nothing is written"])
    cfg = home()
    study, listener = optuna.create_study(study_name="s"), Tracking(top=0, seeds=3)
    listener.began(study, sweep_of(cfg))
    listener.stopped(study)
    listener.ended(study, sweep_of(cfg))
    ended = parent_run(study, cfg.tracking.uri)
    assert ended.info.status == runs.FINISHED
    assert "goodfit.ended" not in ended.data.tags


@pytest.mark.slow
def test_a_trial_that_ended_as_its_sweep_was_stopped_is_recorded_once_by_the_next_one(
    home: Home,
) -> None:
    cfg = home()
    uri = str(cfg.tracking.uri)
    study, listener = optuna.create_study(study_name="s"), Tracking(top=0, seeds=3)
    listener.began(study, sweep_of(cfg))
    parent = parent_run(study, uri).info.run_id
    tags = {"goodfit.study": "s", "goodfit.trial": "0", "mlflow.parentRunId": parent}
    child = runs.start(uri, "tiny", "trial", tags=tags, params={})
    study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=0.5))
    listener.stopped(study)
    for _ in range(2):
        listener.began(study, sweep_of(cfg))
        client = database.connect(uri)
        assert client.get_run(child.run_id).data.tags["goodfit.trial_state"] == "complete"
        values = [metric.value for metric in client.get_metric_history(child.run_id, "objective")]
        assert values == [0.5]


def test_a_study_whose_name_mlflow_cannot_ask_for_is_refused(home: Home) -> None:
    study = optuna.create_study(study_name="it's")
    with pytest.raises(UserError, match="quote"):
        Tracking(top=0, seeds=3).began(study, sweep_of(home()))


SWEEP = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
import optuna
from omegaconf import OmegaConf
from goodfit.search.listener import Tracking
from hydra_plugins.hydra_optuna_sweeper._space import Space

cfg, options = OmegaConf.load("cfg.yaml"), OmegaConf.create({"storage": None})
study = optuna.create_study(study_name="s")
sweep = SimpleNamespace(config=cfg, space=Space({}), options=options, url=sys.argv[1])
listener = Tracking(top=0, seeds=3)
listener.began(study, sweep)
print("began", flush=True)
time.sleep(20)
"""


@pytest.mark.slow
@pytest.mark.fault(35)
def test_a_sweep_that_another_process_runs_is_refused_until_that_one_ends(
    home: Home, tmp_path: Path
) -> None:
    cfg = home()
    OmegaConf.save(cfg, "cfg.yaml")
    sweep = sweep_of(cfg)
    sweep.url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study, listener = optuna.create_study(study_name="s"), Tracking(top=0, seeds=3)
    command = [sys.executable, "-c", SWEEP, sweep.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "began\n"
        process = re.escape(identity(other.pid))
        with pytest.raises(
            UserError, match=f"study s in optuna.db is being swept by process {process}"
        ):
            listener.began(study, sweep)
        assert parent_run_id(study, str(cfg.tracking.uri)) is None
        other.kill()
        other.wait()
    listener.began(study, sweep)
    listener.stopped(study)
    listener.began(study, sweep)  # goes on, in the same process
    listener.stopped(study)

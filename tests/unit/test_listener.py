"""What a sweep tells MLflow is in the database before the next worker is forked."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import optuna
import pytest
from omegaconf import DictConfig
from optuna.trial import TrialState

from goodfit.search.listener import Tracking, parent_attribute
from goodfit.tracking import runs

Home = Callable[..., DictConfig]


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

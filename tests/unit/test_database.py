"""A tracking database is whole or absent, whatever happens while it is made."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from goodfit.tracking import database

pytestmark = [pytest.mark.slow, pytest.mark.fault(8)]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["goodfit.tracking.runs", "mlflow"])


def tables(path: Path) -> int:
    """How many tables a database has so far."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as connection:
        query = "select count(*) from sqlite_master where type = 'table'"
        return int(connection.execute(query).fetchone()[0])


@pytest.mark.parametrize("name", ["mlflow.db", "runs"])
def test_a_kill_while_it_is_made_leaves_none_and_the_next_process_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / name}"
    made = PROCESSES.Process(target=database.connect, args=(uri,))
    made.start()
    assert made.pid is not None
    deadline = time.monotonic() + 60
    while tables(tmp_path / f".{name}.part") <= 3:
        assert made.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(made.pid, signal.SIGKILL)
    made.join()
    assert not (tmp_path / name).exists()
    experiments = database.connect(uri).search_experiments()
    assert [experiment.name for experiment in experiments] == ["Default"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.lock"]

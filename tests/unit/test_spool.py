"""A tracking database that fails stops no training: items are spooled, and arrive once."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.tracking import runs, spool
from goodfit.tracking.database import connect

Home = Callable[..., DictConfig]
DATABASE, SPOOL = Path("mlflow.db"), Path("build/spool")


@contextmanager
def locked() -> Iterator[None]:
    """As a backup program locks it, or a network file system that hangs."""
    other = sqlite3.connect(DATABASE)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


@contextmanager
def away() -> Iterator[None]:
    """Moved, and something else is where it was."""
    DATABASE.rename("kept.db")
    DATABASE.mkdir()
    try:
        yield
    finally:
        DATABASE.rmdir()
        Path("kept.db").rename(DATABASE)


class Fault(pl.Callback):
    """The database fails from the second epoch on."""

    def __init__(self, fault: Any) -> None:
        self.fault = fault

    def on_train_epoch_start(self, trainer: pl.Trainer, task: Any) -> None:
        if trainer.current_epoch == 1:
            self.fault.__enter__()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent after each epoch, tried again at once: epochs here last milliseconds."""
    monkeypatch.setattr(runs, "SEND_INTERVAL", 0.0)
    monkeypatch.setattr(spool, "FLUSH_TIMEOUT", 1.0)


def rows(uri: str, run_id: str) -> list[tuple[str, int, float]]:
    client = connect(uri)
    logged = []
    for name in client.get_run(run_id).data.metrics:
        if name.endswith("seconds") or name.startswith("cost_"):
            continue
        history = client.get_metric_history(run_id, name)
        logged += [(name, metric.step, metric.value) for metric in history]
    return sorted(logged)


@pytest.mark.slow
@pytest.mark.fault(13)
@pytest.mark.parametrize("fault", [locked, away])
def test_training_goes_on_and_nothing_is_lost_or_doubled(
    home: Home, fault: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    cfg = home(trainer={"max_epochs": 4})
    whole = fit(cfg, out=Path("whole"))
    block = fault()
    done = fit(home(trainer={"max_epochs": 4}), out=Path("model"), callbacks=[Fault(block)])
    warned = capfd.readouterr().err
    block.__exit__(None, None, None)
    assert Path("model/weights.pt").exists()
    assert list(SPOOL.glob("*.jsonl")) == [SPOOL / f"{done.run_id}.jsonl"]
    assert warned.count("tracking does not answer") == 1
    assert rows(cfg.tracking.uri, done.run_id) == rows(cfg.tracking.uri, whole.run_id)
    run = connect(cfg.tracking.uri).get_run(done.run_id)
    assert run.info.status == runs.FINISHED
    assert not list(SPOOL.glob("*.jsonl"))
    files = connect(cfg.tracking.uri).list_artifacts(done.run_id, "model")
    assert "model/weights.pt" in {each.path for each in files}
    files = connect(cfg.tracking.uri).list_artifacts(done.run_id)
    assert "data_card.md" in {each.path for each in files}


@pytest.mark.fault(13)
def test_a_lock_holds_up_no_step(home: Home) -> None:
    run = runs.start(home().tracking.uri, "x", "a run", tags={}, params={})
    with locked():
        started = time.monotonic()
        for step in range(200):
            run.log({"loss": 1.0}, step)
        assert time.monotonic() - started < 1


@pytest.mark.slow
def test_when_the_database_is_back_in_time_the_file_is_gone_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RETRY_INTERVAL", 0.2)
    run = runs.start(home().tracking.uri, "x", "a run", tags={}, params={})
    with away():
        run.log({"loss": 1.0}, 0)
        run.flush()
        assert list(SPOOL.glob("*.jsonl"))
    time.sleep(0.3)
    run.log({"loss": 2.0}, 1)
    run.end(runs.FINISHED)
    assert not list(SPOOL.glob("*.jsonl"))
    assert rows(home().tracking.uri, run.run_id) == [("loss", 0, 1.0), ("loss", 1, 2.0)]


def test_entries_that_had_arrived_are_not_doubled(home: Home) -> None:
    """As when the process dies between sending and deleting the file."""
    uri = home().tracking.uri
    run = runs.start(uri, "x", "a run", tags={}, params={})
    with away():
        run.log({"loss": 1.0, "more": float("nan")}, 3)
        run.flush()
    path = SPOOL / f"{run.run_id}.jsonl"
    kept = shutil.copy(path, "kept.jsonl")
    spool.send(connect(uri), path)
    shutil.copy(kept, path)
    connect(uri)
    assert [(name, step) for name, step, _ in rows(uri, run.run_id)] == [("loss", 3), ("more", 3)]
    assert not path.exists()


def test_a_truncated_last_line_is_left_out(home: Home) -> None:
    uri = home().tracking.uri
    run = runs.start(uri, "x", "a run", tags={}, params={})
    SPOOL.mkdir(parents=True)
    line = json.dumps({"uri": uri, "run_id": run.run_id, "metrics": [["loss", 1.0, 1, 0]]})
    (SPOOL / f"{run.run_id}.jsonl").write_text(line + "\n" + line[:40])
    assert rows(uri, run.run_id) == [("loss", 0, 1.0)]


def test_entries_of_another_database_wait_for_it(home: Home, database: Path) -> None:
    run = runs.start(home().tracking.uri, "x", "a run", tags={}, params={})
    with away():
        run.log({"loss": 1.0})
        run.flush()
    shutil.copy(database, "other.db")
    connect(f"sqlite:///{Path('other.db').resolve()}")
    assert (SPOOL / f"{run.run_id}.jsonl").exists()


def test_a_fault_of_the_program_is_not_taken_for_one_of_the_database(home: Home) -> None:
    run = runs.start(home().tracking.uri, "x", "a run", tags={}, params={})
    run.log({"no;name": 1.0})
    with pytest.raises(Exception, match="Names may only contain"):
        run.flush()
    assert not list(SPOOL.glob("*.jsonl"))


def test_what_is_added_while_a_file_is_sent_is_sent_with_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process replays the file of a training that still writes to it."""
    uri = home().tracking.uri
    run = runs.start(uri, "x", "a run", tags={}, params={})
    path = SPOOL / f"{run.run_id}.jsonl"
    writer = spool.Outbox(run.client, uri, run.run_id)
    for step in range(3):
        writer.append({"metrics": [("loss", float(step), 1, step)]})
    apply = spool.apply

    def slow(client: Any, run_id: str, item: Any) -> None:
        apply(client, run_id, item)
        if item["metrics"][0][3] < 3:
            writer.append({"metrics": [("loss", 9.0, 1, 3 + item["metrics"][0][3])]})

    monkeypatch.setattr(spool, "apply", slow)
    assert spool.send(run.client, path) == 6
    assert [step for _, step, _ in rows(uri, run.run_id)] == list(range(6))
    assert not path.exists()


def test_a_file_that_another_process_has_just_sent_is_nothing_to_stop_for(home: Home) -> None:
    uri = home().tracking.uri
    run = runs.start(uri, "x", "a run", tags={}, params={})
    writers = [
        spool.Outbox(run.client, uri, run.run_id),
        spool.Outbox(run.client, uri, run.run_id[::-1]),
    ]
    for writer in writers:
        writer.append({"metrics": [("loss", 1.0, 1, 0)]})
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(spool.replay, run.client, uri) for _ in range(3)]:
            done.result()
    assert rows(uri, run.run_id) == [("loss", 0, 1.0)]


def test_a_line_after_a_truncated_one_stands_alone(home: Home) -> None:
    uri = home().tracking.uri
    run = runs.start(uri, "x", "a run", tags={}, params={})
    SPOOL.mkdir(parents=True)
    path = SPOOL / f"{run.run_id}.jsonl"
    path.write_text('{"uri": "cut')
    spool.Outbox(run.client, uri, run.run_id).append({"metrics": [("loss", 1.0, 1, 0)]})
    spool.send(run.client, path)
    assert rows(uri, run.run_id) == [("loss", 0, 1.0)]


@pytest.mark.fault(13)
def test_a_database_that_fails_before_the_first_step_is_told_in_a_line(home: Home) -> None:
    connect(home().tracking.uri)
    with away(), pytest.raises(UserError) as error:
        fit(home(), out=Path("model"))
    assert re.fullmatch(r"tracking.uri=sqlite:///\S* does not answer: .*", str(error.value))
    assert "SELECT" not in str(error.value)


class Hung:
    """A database that answers no call before `released`, and then with an error."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def update_run(self, run_id: str, status: str) -> None:
        self.released.wait()
        raise OSError("no answer")


@pytest.mark.fault(13)
def test_a_call_that_fails_late_puts_nothing_old_behind_what_came_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the run, finished long ago, would be RUNNING when the file is sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(spool, "FLUSH_TIMEOUT", 0.1)
    client = Hung()
    outbox = spool.Outbox(client, "sqlite:///x.db", "r")  # type: ignore[arg-type]
    outbox.put(status="RUNNING")
    outbox.flush()
    outbox.put(status="FINISHED", time=1)
    outbox.flush()

    client.released.set()
    assert outbox._thread is not None
    outbox._thread.join()
    entries = [json.loads(line) for line in outbox.path.read_text().splitlines()]
    assert [entry["status"] for entry in entries] == ["RUNNING", "FINISHED"]

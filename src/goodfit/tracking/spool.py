"""Metrics on their way to MLflow: sent by a thread, spooled to a file while the database fails.

Docs: docs/decisions/0014-tracking-waits.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypedDict, Unpack

from goodfit.system import experiment
from goodfit.system.files import file_lock
from goodfit.system.secrets import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

SPOOL = Path("build/spool")
FLUSH_TIMEOUT = 5.0  # seconds that `flush` waits for the database, at the end of a training too
RETRY_INTERVAL = 30.0  # seconds between two tries to reach a database that failed
_SEND_LOCK = ".lock"  # held while a spool file is sent
_APPEND_LOCK = ".append"  # held while the end of a spool file is read or changed
# error codes of what MLflow would refuse for ever: a fault of the program, not of the database
_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
ENDED_TAG = "goodfit.ended"  # why a run ended before its time


class Item(TypedDict, total=False):
    """What is to be written to a run; in a spool file, an object of JSON."""

    metrics: Sequence[tuple[str, float, int, int]]  # key, value, milliseconds, step
    tags: dict[str, str]
    text: tuple[str, str]  # path of the artifact, content
    folder: tuple[str, str]  # local path, path of the artifacts
    status: str
    time: int  # of the run's end, in milliseconds


class Outbox:
    """Applies items to a run in the order in which they were put.

    The first that cannot be sent is written to build/spool/<run>.jsonl with all that follow, after
    one warning. When the database answers again they are sent, in order; a metric that had arrived
    is not doubled, for MLflow ignores a second one of the same key, time, step and value.
    """

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self.client = client
        self.uri = uri
        self.run_id = run_id
        # neither sent nor spooled; the first stays until the thread is done with it
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_sending = False  # from the thread's start to the end of the queue
        self._failed_at: float | None = None  # monotonic seconds; None while the database answers
        self._has_warned = False
        self._refusal: Exception | None = None

    @property
    def path(self) -> Path:
        """The spool file: what waits for the database."""
        return experiment.home() / SPOOL / f"{self.run_id}.jsonl"

    def put(self, **item: Unpack[Item]) -> None:
        """Queues an item; returns at once."""
        with self._changed:
            self._queue.append(item)
            # a process forked from one that sends has inherited the flag, but no thread
            if self._is_sending and self._thread and self._thread.is_alive():
                return
            self._is_sending = True
            thread = threading.Thread(target=self._send_queue, daemon=True)
            thread.start()
            self._thread = thread

    def retry(self, error: Exception, **item: Unpack[Item]) -> None:
        """Queues an item that its sender tried in vain; the database counts as failed from now."""
        self._fail(error)
        self.put(**item)

    def flush(self) -> None:
        """Everything put is in the database or in the spool file, FLUSH_TIMEOUT later at most.

        Raises:
            MlflowException: MLflow refuses an item for good, which is a fault of the program.
        """
        deadline = time.monotonic() + FLUSH_TIMEOUT
        with self._changed:
            while self._queue and time.monotonic() < deadline:
                self._changed.wait(0.05)
            if self._queue:
                # a lock can hold up the call of the first item: if that succeeds after all, the
                # item is sent twice, which is the same as once
                self._fail(TimeoutError(f"no answer in {FLUSH_TIMEOUT:.0f} s"))
                for item in self._queue:
                    self.append(item)
                self._queue.clear()

        if self._thread:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._is_retry_due():
            self._send_spooled()
        if self._refusal:
            raise self._refusal

    def append(self, item: Item) -> None:
        """Writes an item to the end of the spool file."""
        entry = {"uri": self.uri, "run_id": self.run_id, **item}
        # the disk may be full: then the curves have a gap, and training goes on
        with contextlib.suppress(OSError):
            _append_line(self.path, json.dumps(entry).encode() + b"\n")

    def _send_queue(self) -> None:
        """Ends with the last item, so that no thread lives on between two flushes.

        A worker that is forked while it is in SQLite would inherit SQLite's mutexes locked, and
        wait for ever at its first connection.
        """
        while True:
            with self._changed:
                if not self._queue:
                    self._is_sending = False
                    return
                item = self._queue[0]

            if self._is_retry_due():
                self._send_spooled()
            if self._failed_at is None:
                self._send(item)
            else:
                self._spool_first(item)

            with self._changed:
                # unless `flush` has spooled it meanwhile
                if self._queue and self._queue[0] is item:
                    self._queue.popleft()
                self._changed.notify_all()

    def _send(self, item: Item) -> None:
        try:
            apply(self.client, self.run_id, item)
        except Exception as error:
            if getattr(error, "error_code", None) in _REFUSALS:
                self._refusal = error
                return
            self._fail(error)
            self._spool_first(item)

    def _spool_first(self, item: Item) -> None:
        """Writes the first item of the queue to the spool file, unless `flush` did so meanwhile."""
        with self._changed:
            # a second copy would stand behind all that was put since, and count as newer: a run
            # that is FINISHED would be RUNNING again
            if self._queue and self._queue[0] is item:
                self.append(item)

    def _send_spooled(self) -> None:
        self._failed_at = time.monotonic()
        with contextlib.suppress(Exception):
            sent = send(self.client, self.path)
            self._failed_at = None
            print(f"tracking answers again: {sent} entries were sent", flush=True)

    def _is_retry_due(self) -> bool:
        if self._failed_at is None:
            return False
        return time.monotonic() - self._failed_at > RETRY_INTERVAL

    def _fail(self, error: Exception) -> None:
        """From now on items are spooled; warns once."""
        self._failed_at = time.monotonic()
        if self._has_warned:
            return
        self._has_warned = True
        _print_warning(
            f"tracking does not answer ({_reason(error)}); "
            f"training goes on, entries wait in {self.path}"
        )


def apply(client: MlflowClient, run_id: str, item: Item) -> None:
    """Writes an item to a run; twice is the same as once."""
    from mlflow.entities import Metric, RunTag

    if "metrics" in item:
        metrics = []
        for key, value, milliseconds, step in item["metrics"]:
            metrics.append(Metric(key, float(value), milliseconds, step))
        client.log_batch(run_id, metrics=metrics)
    if "tags" in item:
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in item["tags"].items()])
    if "text" in item:
        path, content = item["text"]
        _log_text(client, run_id, content, PurePosixPath(path))
    if "folder" in item and Path(item["folder"][0]).is_dir():
        client.log_artifacts(run_id, *item["folder"])
    if item.get("status") == "RUNNING":
        client.update_run(run_id, status="RUNNING")
        delete_ended_tag(client, run_id)
    elif "status" in item:
        client.set_terminated(run_id, item["status"], end_time=item["time"])


def _log_text(client: MlflowClient, run_id: str, content: str, path: PurePosixPath) -> None:
    # not the client's own log_text: a patch may hold bytes that are no UTF-8, and it refuses them
    folder = None if path.parent == PurePosixPath() else str(path.parent)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, path.name)
        file.write_bytes(content.encode(errors="surrogateescape"))
        client.log_artifact(run_id, str(file), folder)


def delete_ended_tag(client: MlflowClient, run_id: str) -> None:
    """A run that goes on, or has ended well, does not say why it ended before its time."""
    # MLflow refuses to delete a tag that is not there
    if ENDED_TAG in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, ENDED_TAG)


def replay(client: MlflowClient, uri: str) -> None:
    """Sends what earlier processes have spooled for this database.

    Another process that does the same waits for its turn.
    """
    for path in sorted((experiment.home() / SPOOL).glob("*.jsonl")):
        lines = _lines(path)  # none where another process has just sent them
        try:
            if not lines or json.loads(lines[0])["uri"] != uri:
                continue
            sent = send(client, path)
            print(f"sent {sent} entries to MLflow that had waited in {path}", flush=True)
        except Exception as error:
            # whatever it is, it is no reason to stop what this process is here for
            _print_warning(f"{len(lines)} entries go on waiting in {path} ({_reason(error)})")


def send(client: MlflowClient, path: Path) -> int:
    """Applies all lines of a spool file and deletes it; gives their number.

    Lines that are appended meanwhile are sent too; a truncated line is left out.
    """
    sent = 0
    with file_lock(path.parent / _SEND_LOCK):
        while True:
            with file_lock(path.parent / _APPEND_LOCK):
                lines = _lines(path)
                if len(lines) == sent:
                    path.unlink(missing_ok=True)
                    return sent
            for line in lines[sent:]:
                with contextlib.suppress(json.JSONDecodeError):
                    entry = json.loads(line)
                    apply(client, entry["run_id"], entry)
            sent = len(lines)


def _append_line(path: Path, line: bytes) -> None:
    with file_lock(path.parent / _APPEND_LOCK), path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            # a kill or a full disk may have truncated the line before
            if stream.read() != b"\n":
                stream.write(b"\n")
        stream.write(line)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _reason(error: Exception) -> str:
    return " ".join(redact(str(error)).split())[:160]


def _print_warning(text: str) -> None:
    print(f"goodfit: {text}", file=sys.stderr, flush=True)

"""Metrics on their way to MLflow: sent by a thread, kept in a file while nobody answers."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodfit.system.files import file_lock
from goodfit.system.secrets import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

SPOOL = Path("build/spool")
PATIENCE = 5.0  # seconds that the end of a training waits for an answer
_SENDING = ".lock"  # held over the sending of a file, by one process
_ADDING = ".append"  # held over a look at a file's end, or a change of it
AGAIN = 30.0  # seconds between two tries to reach a database that did not answer
_DEFECTS = (
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
)  # would be refused for ever: a fault of the program
Item = dict[str, Any]


class Outbox:
    """Applies items to a run in the order in which they were put.

    The first that cannot be sent is written to build/spool/<run>.jsonl with all that follow, after
    one warning. When the database answers again they are sent, in order; a metric that had arrived
    is not doubled, for MLflow ignores a second one of the same key, time, step and value.
    """

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self.client, self.uri, self.run_id = client, uri, run_id
        self._items: deque[Item] = (
            deque()
        )  # neither sent nor in the file; the thread works on the first
        self._changed = threading.Condition()
        self._thread, self._working = (
            threading.Thread(),
            False,
        )  # it lives from an item to the end of the queue
        self._failed = 0.0  # when the last try failed, 0 while all is well
        self._warned = False
        self._defect: Exception | None = None

    @property
    def path(self) -> Path:
        """What waits for the database."""
        return SPOOL / f"{self.run_id}.jsonl"

    def put(self, **item: Any) -> None:
        """Hands over an item: metrics, tags, status, text or folder; returns at once."""
        with self._changed:
            self._items.append(item)
            if not (
                self._working and self._thread.is_alive()
            ):  # which it is not in a process forked from its own
                self._thread, self._working = threading.Thread(target=self._work, daemon=True), True
                self._thread.start()

    def retry(self, error: Exception, **item: Any) -> None:
        """Hands over what could not be done at once."""
        self._warn(error)
        self._failed = time.monotonic()
        self.put(**item)

    def flush(self) -> None:
        """Waits until all is sent or in the file; raises what only a fault of the program can
        cause.
        """
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while self._items and time.monotonic() < deadline:
                self._changed.wait(0.05)
            # a lock can hold up a single call for long: what it does to the end is done once more
            if self._items:
                self._warn(TimeoutError(f"no answer in {PATIENCE:.0f} s"))
                self._failed = time.monotonic()
                for item in self._items:
                    self._keep(item)
                self._items.clear()
        if self._thread.ident:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._due():
            self._resend()
        if self._defect:
            raise self._defect

    def _work(self) -> None:
        """The thread's life ends with the last item: a worker that is forked while it is in SQLite would inherit
        SQLite's mutexes locked, and wait for ever at its first connection."""
        while True:
            with self._changed:
                if not self._items:
                    self._working = False
                    return
                item = self._items[0]
            if self._due():
                self._resend()
            if self._failed:
                self._keep(item)
            else:
                self._send(item)
            with self._changed:
                if self._items and self._items[0] is item:
                    self._items.popleft()
                self._changed.notify_all()

    def _due(self) -> bool:
        return self._failed > 0 and time.monotonic() - self._failed > AGAIN

    def _send(self, item: Item) -> None:
        try:
            apply(self.client, self.run_id, item)
        except Exception as error:
            if getattr(error, "error_code", "") in _DEFECTS:
                self._defect = error
                return
            self._warn(error)
            self._failed = time.monotonic()
            self._keep(item)

    def _keep(self, item: Item) -> None:
        line = json.dumps({"uri": self.uri, "run_id": self.run_id, **item}).encode() + b"\n"
        with contextlib.suppress(
            OSError
        ):  # the disk may be full: then the curves have a gap, and training goes on
            _append(self.path, line)

    def _resend(self) -> None:
        self._failed = time.monotonic()
        with contextlib.suppress(Exception):
            sent = send(self.client, self.path)
            self._failed = 0.0
            print(f"tracking answers again: {sent} entries were sent", flush=True)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = " ".join(redact(str(error)).split())[:160]
            print(
                f"goodfit: tracking does not answer ({reason}); training goes on, entries wait in {self.path}",
                file=sys.stderr,
                flush=True,
            )


def apply(client: MlflowClient, run_id: str, item: Item) -> None:
    """Does to a run what an item says; twice is the same as once."""
    from mlflow.entities import Metric, RunTag

    if "metrics" in item:
        client.log_batch(
            run_id,
            metrics=[Metric(key, float(value), *when) for key, value, *when in item["metrics"]],
        )
    if "tags" in item:
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in item["tags"].items()])
    if "text" in item:
        client.log_text(run_id, item["text"][1], item["text"][0])
    if "folder" in item and Path(item["folder"][0]).is_dir():
        client.log_artifacts(run_id, *item["folder"])
    if item.get("status") == "RUNNING":
        client.update_run(run_id, status="RUNNING")
    elif "status" in item:
        client.set_terminated(run_id, item["status"], end_time=item["time"])


def replay(client: MlflowClient, uri: str) -> None:
    """Sends what earlier processes could not; another process that does the same waits for its
    turn.
    """
    for path in sorted(SPOOL.glob("*.jsonl")):
        lines = _lines(path)  # none where another process has just sent them
        try:
            if not lines or json.loads(lines[0])["uri"] != uri:
                continue
            print(
                f"sent {send(client, path)} entries to MLflow that had waited in {path}", flush=True
            )
        except (
            Exception
        ) as error:  # whatever it is, it is no reason to stop what this process is here for
            reason = " ".join(redact(str(error)).split())[:160]
            print(
                f"goodfit: {len(lines)} entries go on waiting in {path} ({reason})",
                file=sys.stderr,
                flush=True,
            )


def send(client: MlflowClient, path: Path) -> int:
    """Applies all lines of a spool file, those among them that are added meanwhile, and deletes it.

    A line that was cut is left out.
    """
    sent = 0
    with file_lock(path.parent / _SENDING):
        while True:
            with file_lock(path.parent / _ADDING):
                lines = _lines(path)
                if len(lines) == sent:
                    path.unlink(missing_ok=True)
                    return sent
            for line in lines[sent:]:
                with contextlib.suppress(json.JSONDecodeError):
                    item = json.loads(line)
                    apply(client, item["run_id"], item)
            sent = len(lines)


def _append(path: Path, line: bytes) -> None:
    with file_lock(path.parent / _ADDING), path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read() != b"\n":  # a kill or a full disk has cut the line before
                stream.write(b"\n")
        stream.write(line)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []

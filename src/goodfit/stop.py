"""Being told to stop: at once, or, while a training can still save itself, after the present step."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from goodfit import process

GRACE = 15.0  # seconds that a process has to save itself before it is ended for good
_patient = 0
_asked: list[int] = []


def on_signals() -> None:
    """SIGTERM and SIGINT end this process with 143 and 130.

    Lightning answers KeyboardInterrupt with exit code 1 and SIGTERM with 0, which DVC takes for success;
    SystemExit passes through it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def with_dvc() -> None:
    """Ends this process when the `dvc` that started it is gone: an orphan's output would be taken for the next run's.

    A process that nobody of that name started is left alone: `nohup python pipelines/train.py &` outlives its shell.
    """
    ancestors = psutil.Process().parents()
    master = next((each for each in ancestors if _is_dvc(each)), None)
    if master:
        threading.Thread(target=_watch, args=(master,), daemon=True).start()


@contextmanager
def patiently() -> Iterator[None]:
    """In the block a first signal only asks (see `asked`); a second one ends the process as ever."""
    global _patient
    _patient += 1
    try:
        yield
    finally:
        _patient -= 1


def asked() -> int:
    """The number of the signal that asks the training to stop, 0 where none has come."""
    return _asked[0] if _asked else 0


def _stop(number: int, _frame: object) -> None:
    name = signal.Signals(number).name
    if _patient and not _asked:
        _asked.append(number)
        _say(f"{name}: stopping after this step, with a checkpoint")
        return
    _say(f"stopped by {name}")
    raise SystemExit(128 + number)


def _say(message: str) -> None:
    if "GOODFIT_WORKER" not in os.environ:  # of a training on many devices the launcher speaks, once
        print(f"goodfit: {message}", file=sys.stderr, flush=True)


def _is_dvc(candidate: psutil.Process) -> bool:
    try:
        words = candidate.cmdline()
    except psutil.Error:
        return False
    return any(Path(word).name == "dvc" for word in words[:2]) or words[1:3] == ["-m", "dvc"]


def _watch(master: psutil.Process) -> None:
    birth = process.identity(master.pid)
    while not process.gone(birth):
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)  # deep in a library that hears no signal

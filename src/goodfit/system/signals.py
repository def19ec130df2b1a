"""A signal ends a process at once, or, while a training can save itself, after the present step."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from goodfit.system import processes

WORKER = "GOODFIT_WORKER"  # set in the environment of a training's ranks
GRACE = 15.0  # seconds that a process has to save itself before it is ended for good
_deferring = 0  # blocks of `defer_signals` that the process is in
_requests: list[int] = []


def exit_on_signals() -> None:
    """From now on SIGTERM and SIGINT end this process with 143 and 130.

    Lightning answers KeyboardInterrupt with exit code 1 and SIGTERM with 0, which DVC takes for
    success; SystemExit passes through it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


def end_with_dvc() -> None:
    """Ends this process when the `dvc` that started it is gone.

    An orphan's output would be taken for the next run's. A process that nobody of that name started
    is left alone: `nohup python pipelines/train.py &` outlives its shell.
    """
    for ancestor in psutil.Process().parents():
        if _is_dvc(ancestor):
            threading.Thread(target=_watch, args=(ancestor,), daemon=True).start()
            return


@contextmanager
def defer_signals() -> Iterator[None]:
    """In the block a first signal is only noted; a second one ends the process.

    Whoever runs in the block asks `stop_requested` where it can save itself.
    """
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1


def stop_requested() -> int:
    """The number of the signal that asks the training to stop, 0 where none has come."""
    return _requests[0] if _requests else 0


def request_stop(number: int) -> None:
    """Asks the training to stop after the present step, as a signal of this number does."""
    _requests.append(number)


def reset() -> None:
    """Forgets the signals that were noted, in a process that outlives the training they meant."""
    _requests.clear()


def _on_signal(number: int, _frame: object) -> None:
    name = signal.Signals(number).name
    if _deferring and not _requests:
        request_stop(number)
        _print_message(f"{name}: stopping after this step, with a checkpoint")
        return
    _print_message(f"stopped by {name}")
    raise SystemExit(128 + number)


def _print_message(message: str) -> None:
    if WORKER not in os.environ:  # of a training on many devices the launcher speaks, once
        print(f"goodfit: {message}", file=sys.stderr, flush=True)


def _is_dvc(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    is_script = any(Path(word).name == "dvc" for word in command[:2])
    return is_script or command[1:3] == ["-m", "dvc"]


def _watch(dvc: psutil.Process) -> None:
    with suppress(psutil.Error, OSError):  # it has ended before this thread began
        identity = processes.identity(dvc.pid)
        while not processes.gone(identity):
            time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)  # the main thread is in a library call that no signal ends

"""Ctrl-C and SIGTERM end a sweep where nothing is half-done; a second signal ends it anywhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
SignalCheck = Callable[[], None]


@contextmanager
def raising_signals() -> Iterator[None]:
    """In the block both signals raise, so that workers are stopped and their trials recorded.

    Raises:
        KeyboardInterrupt: at SIGINT.
        SystemExit: at SIGTERM, with code 143.
    """
    with _handling(_raise):
        yield


@contextmanager
def deferred_signals() -> Iterator[SignalCheck]:
    """In the block a first signal is raised only by the yielded function, or at the block's end.

    Raised in the midst of a commit, it would leave a database with a transaction that nobody ends.
    """
    received: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            _raise(number, frame)

    def check_signals() -> None:
        if received:
            _raise(received[0], None)

    with _handling(defer):
        yield check_signals
        # one that came after the last check is not lost
        check_signals()


class Terminated(SystemExit):
    """A worker was told to stop; a job that calls sys.exit is another matter."""


class WorkerSigterm:
    """A worker's answer to SIGTERM: `Terminated`, at once or, where it is deferred, later.

    Raised while Optuna starts the thread of a trial's heartbeat, it would leave a thread that
    nobody stops, and for which the process waits at its end. Raised in the midst of a commit, it
    comes out as the database's error.
    """

    def __init__(self) -> None:
        self._is_received = False
        self._is_deferred = False

    def install(self) -> None:
        """From now on SIGTERM is answered."""
        signal.signal(signal.SIGTERM, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """In the block SIGTERM waits until the block's end, or until a block in it allows it."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        # not in `finally`, where it would hide what the block raised
        self.raise_received()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """In the block, inside a deferred one, SIGTERM raises; one that came before does too."""
        self._is_deferred = False
        try:
            self.raise_received()
            yield
        finally:
            self._is_deferred = True

    def raise_received(self) -> None:
        """Raises `Terminated` where the signal has come."""
        if self._is_received:
            raise Terminated(128 + signal.SIGTERM)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._is_received = True
        if not self._is_deferred:
            self.raise_received()


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

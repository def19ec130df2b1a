"""Ctrl-C and SIGTERM end a sweep at a place where nothing is half-done; asked twice, it ends wherever it is."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
Heard = Callable[[], None]


@contextmanager
def ending_orderly() -> Iterator[None]:
    """In the block both signals raise, so that workers are stopped and their trials recorded."""
    with _answered(_raise):
        yield


@contextmanager
def noted() -> Iterator[Heard]:
    """In the block a first signal is only noted, and raised when the function is called that the block is given.

    Raised in the midst of a commit, it would leave a database with a transaction that nobody ends.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            _raise(number, frame)

    def heard() -> None:
        if came:
            _raise(came[0], None)

    with _answered(note):
        yield heard
        heard()


@contextmanager
def _answered(answer: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, answer) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

"""What users are told when they made a mistake: one or two lines, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend: says what was got, what was expected, what to do.

    Exit code 2.
    """


class FailureError(RuntimeError):
    """What ended a run though the command was right: said in a line or two. Exit code 1."""


class NonFiniteLossError(FailureError):
    """The loss is NaN or infinite; raised before the optimizer step, so the weights are still
    finite.
    """


class NoRoomError(FailureError):
    """A disk is full; what was on it before is whole."""


class LostMachineError(FailureError):
    """A machine of a training is gone without a word: its power, or the network to it."""


class OutOfMemory(RuntimeError):  # noqa: N818 - so it is called everywhere
    """A device's memory did not hold a micro-batch; `micro_batches` is how many of them made a
    step.
    """

    def __init__(self, message: str, micro_batches: int) -> None:
        super().__init__(message)
        self.micro_batches = micro_batches


class PrunedError(Exception):
    """A trial of a sweep that is not worth going on with; says why. Not a failure."""


def nearest(name: str, options: Iterable[str]) -> str:
    """The closest of `options` as " Did you mean 'x'?", or the first of them where none is close.

    Of dotted names the last part counts: trainer.foo is not close to trainer.logger, though most
    letters agree.
    """
    known = sorted(options)
    close = max(known, key=lambda option: _similarity(name, option), default="")
    if close and _similarity(name, close) >= 0.6:
        return f" Did you mean '{close}'?"
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f" Known: {listed or 'none'}."


def _similarity(one: str, other: str) -> float:
    whole = difflib.SequenceMatcher(None, one, other).ratio()
    ends = difflib.SequenceMatcher(None, one.rpartition(".")[2], other.rpartition(".")[2]).ratio()
    return ends + whole / 10  # the whole name decides between equal ends

"""What users are told when they made a mistake: one or two lines, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CLOSE = 0.6  # of 1.0 for equal last parts, and 0.1 more for equal whole names
_LISTED = 12


class UserError(ValueError):
    """A mistake that the user can mend; exit code 2.

    The message says what was got, what was expected, and what to do.
    """


class OtherVersionError(UserError):
    """A file that is whole, but lacks a key or a type that this version expects."""


class FailureError(RuntimeError):
    """What ended a run though the command was right, in a line or two; exit code 1."""


class NonFiniteLossError(FailureError):
    """The loss is NaN or infinite.

    Raised before the optimizer step, so the weights are still finite.
    """


class NoRoomError(FailureError):
    """A disk is full; what was on it before is whole."""


class NoMemoryError(FailureError):
    """Memory ran out where a smaller batch would not help."""


class LostMachineError(FailureError):
    """A machine of a training is gone without a word: its power, or the network to it."""


class OutOfMemory(RuntimeError):  # noqa: N818 - so it is called everywhere
    """A device's memory did not hold a micro-batch; a step had `micro_batches` of them."""

    def __init__(self, message: str, micro_batches: int) -> None:
        super().__init__(message)
        self.micro_batches = micro_batches


class PrunedError(Exception):
    """A trial of a sweep that is not worth going on with; says why. Not a failure."""


def nearest(name: str, options: Iterable[str]) -> str:
    """The closest of `options` as " Did you mean 'x'?", or a list of them where none is close.

    Of dotted names the last part counts: trainer.foo is not close to trainer.logger, though most
    letters agree.
    """
    known = sorted(options)
    closest = max(known, key=lambda option: _similarity(name, option), default=None)
    if closest is not None and _similarity(name, closest) >= _CLOSE:
        return f" Did you mean '{closest}'?"

    listed = known[:_LISTED]
    if len(known) > _LISTED:
        listed.append("...")
    return f" Known: {', '.join(listed) or 'none'}."


def _similarity(name: str, option: str) -> float:
    whole = _ratio(name, option)
    last_parts = _ratio(name.rpartition(".")[2], option.rpartition(".")[2])
    return last_parts + whole / 10  # the whole name decides between equal last parts


def _ratio(first: str, second: str) -> float:
    """From 0.0, nothing in common, to 1.0, equal."""
    return difflib.SequenceMatcher(None, first, second).ratio()

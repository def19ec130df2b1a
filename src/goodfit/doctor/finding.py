"""What an examination of the repository reports, and what can be done about it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

Level = Literal["ok", "note", "problem"]
Fix = Callable[[], str]


class Finding(NamedTuple):
    """`message` is so, and `advice` says what to do; `fix` does it, and returns what it did.

    A fix looks again before it changes anything, and raises UserError where it is not safe.
    """

    level: Level
    message: str
    advice: str | None = None
    fix: Fix | None = None


def ok(message: str) -> Finding:
    """Examined, and as it should be."""
    return Finding("ok", message)


def note(message: str, advice: str | None = None) -> Finding:
    """Worth knowing; breaks nothing."""
    return Finding("note", message, advice)


def problem(message: str, advice: str, fix: Fix | None = None) -> Finding:
    """Breaks something, or will."""
    return Finding("problem", message, advice, fix)


def one_line(text: object, most: int) -> str:
    """A text or an error without line breaks, cut after `most` characters."""
    return " ".join(str(text).split())[:most]


def abbreviate(names: list[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    text = ", ".join(names[:most])
    if len(names) > most:
        text += f" and {len(names) - most} more"
    return text


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: 1 run, 2 runs."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def quarantine(path: Path, folder: Path) -> Path:
    """Moves what may be an only copy to `folder`, under a free name; returns its new path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if target.exists():  # from an earlier examination; it, too, may be an only copy
        target = folder / f"{time.time_ns()}-{path.name}"
    shutil.move(path, target)
    return target

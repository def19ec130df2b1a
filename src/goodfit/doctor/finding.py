"""One thing that an examination of the repository found, and what can be done about it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

OK, NOTE, FOUND = "ok", "note", "found"


class Finding(NamedTuple):
    """`what` is so, and `advice` says what to do; `fix` does it, and says what it did.

    A fix looks again before it changes anything, and raises UserError where it is not safe.
    """

    word: str
    what: str
    advice: str = ""
    fix: Callable[[], str] | None = None


def ok(what: str) -> Finding:
    """Looked at, and as it should be."""
    return Finding(OK, what)


def note(what: str, advice: str = "") -> Finding:
    """Worth knowing; breaks nothing."""
    return Finding(NOTE, what, advice)


def found(what: str, advice: str, fix: Callable[[], str] | None = None) -> Finding:
    """Breaks something, or will."""
    return Finding(FOUND, what, advice, fix)


def listed(names: list[str], most: int = 4) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def size(number: float) -> str:
    """Bytes as people read them."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def quarantine(path: Path, folder: Path) -> Path:
    """Moves what may be somebody's only copy out of the way, under a name that was not taken; gives
    the new place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / path.name
    if place.exists():
        place = folder / f"{time.time_ns()}-{path.name}"
    shutil.move(path, place)
    return place

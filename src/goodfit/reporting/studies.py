"""The page about how well an experiment fits: what was tried beyond its one training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from goodfit.reporting.page import render


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as they are shown, the first of a row its head; `best` is the row that stands out."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: int | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question that was asked of an experiment, the command that asked it, and its answer."""

    title: str
    command: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    chart: Markup | None = None
    table: Table | None = None
    stale: str | None = None


def page(name: str, studies: Sequence[Study]) -> str:
    """All studies of an experiment as HTML, a single file."""
    return render("studies.html.j2", name=name, studies=studies)

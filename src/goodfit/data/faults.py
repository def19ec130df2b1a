"""Cells that cannot be used, all of them in one message; what a user can do about a column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from goodfit.errors import UserError

_LISTED = 20
_LETTERS = 60  # of a cell that a message shows


def override(name: str, how: str) -> str:
    """How a user says what a column is read as."""
    if re.fullmatch(r"\w+", name, re.ASCII):
        return f"data.columns.{name}={how}"
    return f"in the YAML of data: columns: {{{json.dumps(name, ensure_ascii=False)}: {how}}}"


def drop(name: str) -> str:
    """How a user leaves a column out."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return f"data.drop=[{name}]"
    return f"in the YAML of data: drop: [{json.dumps(name, ensure_ascii=False)}]"


def shown(value: Any) -> str:
    """A value as a user wrote it, 1e+300 where NumPy says np.float64(1e+300); cut where long."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}... ({len(text):,} letters)"


class Faults:
    """Collects faults of a table that `name` calls, each with its row and column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.columns: dict[str, None] = {}
        self._lines: list[str] = []

    def add(self, column: str, rows: Iterable[int], problem: str) -> None:
        """The same problem in one column of several rows."""
        if rows := list(rows):
            self.columns[column] = None
        self._lines += [f"  row {row}  column {column}  {problem}" for row in rows]

    def report(self, advice: str) -> None:
        """Nothing where there are none.

        Raises:
            UserError: there are some; the message lists the first 20 of them.
        """
        count = len(self._lines)
        if not count:
            return
        cells = "1 cell" if count == 1 else f"{count} cells"
        lines = [f"{self.name}: {cells} cannot be used; {advice}:", *self._lines[:_LISTED]]
        if count > _LISTED:
            lines.append(f"  ... and {count - _LISTED} more")
        raise UserError("\n".join(lines))

"""Cells that cannot be used, all of them in one message; what a user can do about a column."""

from __future__ import annotations

import re
from collections.abc import Iterable

from goodfit.errors import UserError

_LISTED = 20


def override(name: str, how: str) -> str:
    """How a user says what a column is read as."""
    if re.fullmatch(r"\w+", name, re.ASCII):
        return f"data.columns.{name}={how}"
    return f'in the YAML of data: columns: {{"{name}": {how}}}'


class Faults:
    """Collects faults of a table that `name` calls, each with its row and column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lines: list[str] = []

    def add(self, column: str, rows: Iterable[int], problem: str) -> None:
        """The same problem in one column of several rows."""
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

"""Cells that cannot be used, all of them in one message; what a user can do about a column."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import yaml

from goodfit.errors import UserError

_LISTED = 20  # faults in a message
_FEWEST_LISTED = 2  # of a column
Read = TypeVar("Read")
_LETTERS = 60  # of a cell that a message shows


def override(name: str, how: str, option: str = "columns") -> str:
    """How a user says what a column is read as, or what another option has by columns."""
    if re.fullmatch(r"\w+", name, re.ASCII):
        return f"data.{option}.{name}={how}"
    # as Hydra takes a name without quotes; it takes none in quotes, and no letter beyond ASCII
    if re.fullmatch(r"[A-Za-z_][\w /%*@?|+.-]*", name, re.ASCII) and name == name.strip():
        return f"'data.{option}={{{name}: {how}}}'"
    return f"in the YAML of data: {option}: {{{json.dumps(name, ensure_ascii=False)}: {how}}}"


def either(name: str, how: str, other: str) -> str:
    """How a user chooses between two readings of a column."""
    first = override(name, how)
    return f"{first} or {'=' if first.endswith(f'={how}') else ''}{other}"


def drop(name: str) -> str:
    """How a user leaves a column out."""
    if _is_plain(name):
        return f"data.drop=[{name}]"
    return shlex.quote(f"data.drop=[{_quoted(name)}]")


def named(name: str, option: str) -> str:
    """How a user has an option name a column."""
    if _is_plain(name):
        return f"data.{option}={name}"
    return shlex.quote(f"data.{option}={_quoted(name)}")


def _is_plain(name: str) -> bool:
    """Whether a command line takes a name for a text: not null, yes, or 2024."""
    is_word = re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)
    return bool(is_word) and isinstance(yaml.safe_load(name), str)


def _quoted(name: str) -> str:
    """In quotes, as Hydra takes any letters."""
    return json.dumps(name, ensure_ascii=False)


def shown(value: Any) -> str:
    """A value as a user wrote it, 1e+300 where NumPy says np.float64(1e+300); cut where long."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}... ({len(text):,} letters)"


def one_line(text: str) -> str:
    """A text for a line of a terminal: a space for line ends, tabs and what a terminal obeys."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


class Fault(NamedTuple):
    """What is wrong with one cell, and where it stands."""

    row: int
    column: str
    problem: str


class CellsError(UserError):
    """Cells of a table that `name` calls, which cannot be used: about 20 of `faults` in lines.

    Of several columns, each has its share of the lines. `advice` is what a user can do about them.
    """

    def __init__(self, name: str, advice: str, faults: Sequence[Fault]) -> None:
        self.name, self.advice, self.faults = name, advice, tuple(faults)
        cells = "1 cell" if len(faults) == 1 else f"{len(faults)} cells"
        lines = [f"{name}: {cells} cannot be used; {advice}:"]
        counts = Counter(fault.column for fault in faults)
        most = max(_LISTED // max(len(counts), 1), _FEWEST_LISTED)
        for column, count in counts.items():
            of_column = sorted(fault for fault in faults if fault.column == column)
            for fault in of_column[:most]:
                lines.append(f"  row {fault.row}  column {fault.column}  {fault.problem}")
            if count > most:
                lines.append(f"  ... and {count - most} more of column {column}")
        super().__init__("\n".join(lines))

    def behind(self, count: int) -> list[Fault]:
        """The faults, where the table is the rest of one, behind so many rows."""
        return [fault._replace(row=count + fault.row) for fault in self.faults]


class Faults:
    """Collects faults of a table that `name` calls, each with its row and column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._faults: list[Fault] = []

    def add(self, column: str, rows: Iterable[int], problem: str) -> None:
        """The same problem in one column of several rows."""
        self._faults += [Fault(int(row), column, problem) for row in rows]

    @property
    def columns(self) -> list[str]:
        """Those that have one, the first found first."""
        return list(dict.fromkeys(fault.column for fault in self._faults))

    def report(self, advice: str) -> None:
        """Nothing where there are none.

        Raises:
            CellsError: there are some.
        """
        if self._faults:
            raise CellsError(self.name, advice, self._faults)


def each(cells: pd.Series[Any], read: Callable[[Any], Read]) -> list[Read]:
    """What `read` makes of each cell (B,) of a column, as a caller sent it.

    Raises:
        CellsError: cells are missing, or `read` refuses them; rows are counted from 1.
    """
    faults = Faults("the rows")
    results = []
    for row, cell in enumerate(cells, 1):
        if cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell)):
            faults.add(str(cells.name), [row], "is missing; in training none was")
            continue
        try:
            results.append(read(cell))
        except UserError as error:
            faults.add(str(cells.name), [row], str(error))
    faults.report("give what training had")
    return results

"""Columns of texts, alone or beside the others of a table, as they were written.

Letters: B rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import tokens
from goodfit.data.columns import LITERAL, MISSING_TEXTS, Column, is_missing
from goodfit.data.faults import Faults, shown

_TEXT = Column("category", "", LITERAL)  # as which a text is read: "NA" may be one


def described(column: Column) -> dict[str, Any]:
    """What the spec says of a column of texts."""
    why = f"{column.why}; a word stands for one" if column.missing else column.why
    return {**column.to_facts(), "kind": "text", "why": why}


def words(rows: pd.DataFrame, names: Collection[str], length: int) -> list[list[str]]:
    """The words of all texts of each row (B,), as `tokens.joined` has them."""
    columns = [list(rows[name]) for name in names]
    together = zip(*columns, strict=True)
    return [tokens.joined(dict(zip(names, texts, strict=True)), length) for texts in together]


def said_of_tokens(cells: pd.Series[Any]) -> str:
    """How many cells (N,) are words here that elsewhere mean a missing one; "" where none are."""
    counts = cells[cells.isin(MISSING_TEXTS - {""})].value_counts()
    listed = ", ".join(f"{text!r} ({count:,})" for text, count in counts.items())
    return f"; taken for texts, not for missing cells: {listed}" if listed else ""


def all_there(cells: pd.Series[Any]) -> list[str]:
    """A column of texts (B,) that a caller sent, of which training had none missing.

    Raises:
        CellsError: one is missing or empty, or is no text.
    """
    name = str(cells.name)
    return list(read(cells.to_frame(name), {name: {"missing": False}})[name])


def read(rows: pd.DataFrame, texts: Mapping[str, Any]) -> pd.DataFrame:
    """The columns of texts of what a caller sent (B rows), "" for what is missing.

    Raises:
        CellsError: one is missing, and in training none was, or is no text.
    """
    faults = Faults("the rows")
    result = pd.DataFrame(index=rows.index)
    for name, facts in texts.items():
        cells: list[str] = []
        as_text = replace(_TEXT, na_values=tuple(facts.get("na_values", ())))
        for row, cell in enumerate(rows[name], 1):
            missing = is_missing(cell, as_text)
            if missing and not facts["missing"]:
                faults.add(name, [row], "is missing; in training none was")
            elif isinstance(cell, bytes) or not (missing or pd.api.types.is_scalar(cell)):
                faults.add(name, [row], f"{shown(cell)} is not a text")
            cells.append("" if missing else _text(cell))
        result[name] = pd.Series(cells, rows.index, dtype=object)
    faults.report("give what training had")
    return result


def _text(cell: Any) -> str:
    """A text as it stands in a file, of what a reader made of it: "3" of 3.0."""
    is_whole = isinstance(cell, float | np.floating) and float(cell).is_integer()
    return str(int(cell)) if is_whole else str(cell)

"""The cells of a table's columns as they were decided to be read, or what is wrong with them.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import features
from goodfit.data.columns import Column, is_missing, missing_in
from goodfit.data.faults import Faults, drop, shown
from goodfit.data.spill import Spill
from goodfit.errors import UserError
from goodfit.records import Exhibit

_SHOWN = 5  # columns of a sample on the page, of numbers and of others
# rows that tell whether float32 tells the values of a column apart: scales are of all rows
_MOST = 100_000


def without_spaces(column: Column, count: int) -> Column:
    """The column, which says that spaces around cells were dropped where they may have a meaning.

    Of a number they have none.
    """
    if not count or column.kind != "category":
        return column
    return replace(column, why=f"{column.why}; spaces around {count} of them are dropped")


def read_cells(
    cells: pd.Series[Any], column: Column, faults: Faults, may_miss: bool, spill: Spill
) -> pd.Series[Any]:
    """The cells (N,) as their column is read, kept by `spill`; the index has their rows."""
    lines = cells.index.to_numpy()
    if column.kind == "category":
        missing = missing_in(cells, column).to_numpy(bool)
        result = cells.mask(missing, "")
    else:
        known, missing = features.checked(cells, column, faults, lines)
        result = pd.Series(known, cells.index)
    for row in [] if may_miss else np.flatnonzero(missing):
        said = f"{shown(cells.iloc[row])} is missing" if cells.iloc[row] else "'' is empty"
        faults.add(str(cells.name), [lines[row]], said)
    return spill.column(result)


def check_resolution(file: str, rows: pd.DataFrame, needed: Collection[str]) -> None:
    """No number is so large that float32 cannot tell the others of its column apart.

    Columns that are `needed` cannot be left out.

    Raises:
        UserError: one is; standardised, the others would all be one value.
    """
    for name in rows.select_dtypes("float"):
        values = rows[name].dropna()
        mean, std = values.mean(), values.std(ddof=0) or 1.0
        largest = values.iloc[int(values.abs().argmax())] if len(values) else 0.0
        values = values.iloc[:: 1 + len(values) // _MOST]
        scores = ((values - mean) / std).astype(np.float32)
        if 2 * scores.nunique() < values.nunique():
            without = "" if name in needed else f", or leave the column out ({drop(str(name))})"
            raise UserError(
                f"{file}: column '{name}' holds {largest:g}, beside which its other values are all "
                f"the same in float32; mend it{without}"
            )


def exhibit(row: pd.Series[Any], columns: Mapping[str, Mapping[str, Any]]) -> Exhibit:
    """The numbers of a row that are farthest from train's mean, and its first texts and gaps."""
    scores, words = {}, {}
    for name, facts in columns.items():
        if is_missing(row[name], Column.of_facts(facts)):
            words[name] = "missing"
        elif facts["kind"] == "number":
            scores[name] = (float(row[name]) - facts["mean"]) / facts["std"]
        else:
            words[name] = in_words(row[name], facts["kind"])
    farthest = sorted(scores, key=lambda name: -abs(scores[name]))[:_SHOWN]
    return Exhibit(
        cells={name: (float(row[name]), round(scores[name], 1)) for name in farthest},
        words=dict(list(words.items())[:_SHOWN]),
    )


def in_words(cell: Any, kind: str) -> str:
    """A cell that is no number, as a reader would write it."""
    if kind == "boolean":
        return "true" if cell else "false"
    if kind == "date":
        return str(cell).removesuffix(" 00:00:00")
    return str(cell)


def reason(facts: Mapping[str, Any]) -> str:
    """Why a column is read so, and what becomes of cells that are missing."""
    parts = [facts["why"]]
    if facts["kind"] == "category":
        count = len(facts["categories"])
        parts.append("1 category" if count == 1 else f"{count} categories")
        if "rare" in facts:
            parts.append(f"{facts['rare']:,} rarer ones, and those that train never had, are one")
    elif facts["missing"]:
        parts.append("they become the median of train, and are marked")
    return "; ".join(parts)

"""The cells of a table's columns as they were decided to be read, or what is wrong with them.

Letters: N rows of the table.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import features
from goodfit.data.columns import Column, is_missing, missing_in
from goodfit.data.delimited import normal
from goodfit.data.faults import Faults, drop, override, shown
from goodfit.data.ordered import different
from goodfit.data.spill import Spill
from goodfit.errors import UserError
from goodfit.records import ColumnRead, Exhibit
from goodfit.schema import Cell, Missing, MissingIn, NaValues

_SHOWN = 5  # columns of a sample on the page, of numbers and of others
_READ = "columns"  # the attribute of rows that has what was decided of their columns
# rows that tell whether float32 tells the values of a column apart: scales are of all rows
_MOST = 100_000


class MissingCells:
    """What is said of missing cells: of all columns, of single ones, and what else stands for one.

    `na_values` are texts by the column's name.
    """

    def __init__(self, of_all: Missing, of_columns: MissingIn, na_values: NaValues) -> None:
        self.of_all = of_all
        self.of_columns = {normal(name): what for name, what in of_columns.items()}
        self.na_values = {normal(name): _texts(cells) for name, cells in na_values.items()}

    @property
    def options(self) -> dict[str, Collection[str]]:
        """The columns that options name."""
        return {"missing_in": self.of_columns, "na_values": self.na_values}

    def imputed(self, name: str) -> bool:
        """Whether cells of an input may be missing."""
        return self.of_columns.get(name, self.of_all) == "impute"

    def check(self, needed: Collection[str]) -> None:
        """No option names a column whose cells are `needed`, as those that decide the split.

        Raises:
            UserError: one does.
        """
        for option, names in self.options.items():
            for name in names:
                if name in needed:
                    raise UserError(
                        f"data.{option} names '{name}', which decides the split: none of its cells "
                        "may be missing"
                    )

    def advice(self, inputs: Sequence[str]) -> str:
        """What may be done about cells of `inputs` that cannot be used, beside mending them."""
        for name in inputs:
            if self.of_columns.get(name) == "refuse":
                return f", or {override(name, 'impute', 'missing_in')}"
        if inputs and self.of_all == "refuse":
            return ", or data.missing=impute"
        texts = [override(name, "category") for name in inputs]
        return f", or take a column as texts: {texts[0]}" if texts else ""


def _texts(cells: Cell | Sequence[Cell]) -> tuple[str, ...]:
    """A cell, or several, as a file has them; a list of the configuration is no list of Python."""
    return tuple(map(str, [cells] if isinstance(cells, str | int | float) else cells))


def without_spaces(column: Column, count: int) -> Column:
    """The column, which says that spaces around cells were dropped where they may have a meaning.

    Of a number they have none.
    """
    if not count or column.kind != "category":
        return column
    return replace(column, why=f"{column.why}; spaces around {count} of them are dropped")


def noted(decided: Mapping[str, Column]) -> dict[Hashable, Any]:
    """What was decided of each column, as an attribute of the rows."""
    # as a text: pandas stores it with a file, and copies it deeply with each column that it gives,
    # which took minutes for 1,600 columns
    return {_READ: json.dumps({name: column.to_facts() for name, column in decided.items()})}


def read_as(rows: pd.DataFrame) -> dict[str, Column]:
    """What was `noted` of each column of rows (N, columns), also of those that were left out."""
    stored: dict[str, Any] = json.loads(rows.attrs.get(_READ, "{}"))
    return {name: Column.of_facts(facts) for name, facts in stored.items()}


def read_cells(
    cells: pd.Series[Any], column: Column, faults: Faults, may_miss: bool, spill: Spill
) -> pd.Series[Any]:
    """The cells (N,) as their column is read, kept by `spill`; the index has their rows."""
    lines = cells.index.to_numpy()
    if column.kind == "category":
        missing = missing_in(cells, column).to_numpy(bool)
        result = cells.mask(missing, "") if missing.any() else cells
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
        known = rows[name].to_numpy()
        values = known[~np.isnan(known)]
        if not len(values):
            continue
        some = np.sort(values[:: 1 + len(values) // _MOST])
        scores = ((some - values.mean()) / (values.std() or 1.0)).astype(np.float32)
        if 2 * different(scores) < different(some):
            largest = values[np.abs(values).argmax()]
            without = "" if name in needed else f", or leave the column out ({drop(str(name))})"
            raise UserError(
                f"{file}: column '{name}' holds {largest:g}, beside which its other values are all "
                f"the same in float32; mend it{without}"
            )


def in_words(cell: Any, kind: str) -> str:
    """A cell that is no number, as a reader would write it."""
    if kind == "boolean":
        return "true" if cell else "false"
    if kind == "date":
        return str(cell).removesuffix(" 00:00:00")
    return str(cell)


def exhibit(row: pd.Series[Any], columns: Mapping[str, Any]) -> Exhibit:
    """A row of a table for a reader, by what is known of its `columns`.

    The five numbers farthest from train's mean, and the first five texts, dates and gaps.
    """
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


def columns_read(spec: DataSpec) -> list[ColumnRead]:
    """What each column was read as: inputs, the target, the weight, and those left out."""
    facts = spec.facts
    taken = []
    for name, of in facts["columns"].items():
        is_text = of["kind"] == "category"  # of which nobody knows whether it could be more
        otherwise = drop(name) if is_text else override(name, "category")
        taken.append(ColumnRead(name, of["kind"], reason(of), otherwise))
    goal = [ColumnRead(name, spec.kind, why) for name, why in facts["target"].items()]
    others = []
    for name, why in facts["left_out"].items():
        others.append(ColumnRead(name, "weight" if name == spec.weighed_by else None, why))
    return taken + goal + others


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

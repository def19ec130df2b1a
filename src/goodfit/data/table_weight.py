"""The column of a table that says how much each row counts: survey weights, or rows it stands for.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data.columns import Column, decide
from goodfit.data.faults import Faults, named
from goodfit.data.spill import Spill
from goodfit.data.split import SPLITS
from goodfit.data.table_cells import read_cells
from goodfit.errors import UserError
from goodfit.schema import ReadAs

Array = np.ndarray[Any, Any]
_MOST = 1e30  # in float32, in which weights are kept, ten times as many have a finite sum
_NOTATIONS = ("decimal_point", "decimal_comma")


def check_weight(
    name: str, columns: Mapping[str, ReadAs], others: Mapping[str, Collection[str]]
) -> None:
    """The column `name` weighs the rows, and nothing else is said of it but its notation.

    `columns` has what columns are read as; `others`, by option, the columns that it names.

    Raises:
        UserError: it is to be an input, too, or another option names it.
    """
    for option, given in others.items():
        if name in given:
            raise UserError(
                f"data.weight and data.{option} both name '{name}'; leave one of them out"
            )
    asked = columns.get(name)
    if asked and asked not in _NOTATIONS:
        raise UserError(
            f"data.columns reads '{name}' as {asked}, but it weighs the rows, and is no input; "
            f"leave it out there ({' or '.join(_NOTATIONS)} would say how its numbers are written)"
        )


def read_weight(
    cells: pd.Series[Any], asked: ReadAs | None, faults: Faults
) -> tuple[Column, dict[str, pd.Series[Any]]]:
    """What is said of the column, and by its name its cells (N,) as numbers, unless all are equal.

    The index of the cells has their rows. Missing cells, and those that are no finite number from 0
    on, become `faults`. The column has no kind, for it is no input.

    Raises:
        UserError: the cells are no numbers, or can be read in two ways.
    """
    name = str(cells.name)
    column = decide(name, cells, asked or "number")
    weights = read_cells(cells, column, faults, may_miss=False, spill=Spill())
    lines = cells.index.to_numpy()
    for row in np.flatnonzero((weights < 0) | (weights > _MOST)):
        what = "less than 0" if weights.iloc[row] < 0 else "beyond all weights"
        faults.add(name, [lines[row]], f"'{weights.iloc[row]:g}' is {what}")
    least, most = float(weights.min()), float(weights.max())
    if least == most:
        return Column(None, f"data.weight names it, but all rows weigh {most:g}: alike"), {}
    nothing = int((weights == 0).sum())
    said = f"; {nothing:,} weigh nothing" if nothing else ""
    return Column(None, f"weighs the rows, from {least:g} to {most:g}{said}"), {name: weights}


def check_splits(name: str, weights: Array, splits: Array) -> None:
    """Each split (N,) has a row whose weight (N,) is not 0.

    Raises:
        UserError: one has none, so nothing could be learned or scored there.
    """
    for split in SPLITS:
        of_split = weights[splits == split]
        if len(of_split) and not of_split.any():
            raise UserError(
                f"{named(name, 'weight')}: all {len(of_split):,} rows of {split} weigh 0; give one "
                "of them a weight, or split otherwise"
            )

"""Held-out rows that are nearly a row of train: the same case twice, measured again or rounded.

Letters: N rows of a table, F columns, M rows that are asked about, T rows of train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from goodfit.records import FINDING_ROWS, Finding

Array = np.ndarray[Any, Any]
# by how much the nearest row of train is nearer than the second: where rows are spread evenly, in m
# dimensions, it is by chance in 0.1 ** m of them
_RATIO = 0.1
_SHARE = 0.2  # of the rows that are asked about; by chance 0.01 of those that fill a plane
_FEWEST_COLUMNS = 3
_MOST_ASKED, _MOST_KNOWN, _AT_ONCE = 500, 20_000, 100
_FEWEST_VALUES, _LOOKED_AT = 10, 1_000  # different ones of a column that measures, in so many rows


def twins(rows: pd.DataFrame, names: Array, inputs: Sequence[str]) -> list[Finding]:
    """Rows of validation or test with a twin in train, where at least a fifth of them has one.

    A twin is a row whose distance is a tenth of that to the second nearest: the ratio by which
    Lowe (2004, section 7.1) tells matches from chance. Distances are of columns of numbers, in
    standard deviations of train.
    """
    random = np.random.default_rng(0)
    known = random.permutation(np.flatnonzero(names == "train"))[:_MOST_KNOWN]
    train = rows.iloc[known]
    measured = [name for name in inputs if _measures(train[name])]
    if len(measured) < _FEWEST_COLUMNS or len(known) < _FEWEST_VALUES:
        return []
    values, scale = _standardised(train[measured])
    # numbers on a coarse grid agree by chance, and do so within train, too
    by_chance = _is_equal(_nearest(values[:_MOST_ASKED], values, themselves=1)).mean()
    found = []
    for split in ("validation", "test"):
        asked = np.sort(random.permutation(np.flatnonzero(names == split))[:_MOST_ASKED])
        squares = _nearest(scale(rows[measured].iloc[asked]), values, themselves=0)
        have = squares[:, 0] < _RATIO**2 * squares[:, 1]
        share = have.mean() - min(by_chance, _is_equal(squares).mean()) if len(asked) else 0.0
        if share >= _SHARE:
            found.append(_finding(split, have.mean(), asked[have]))
    return found


def _measures(values: pd.Series[Any]) -> bool:
    is_number = pd.api.types.is_float_dtype(values)
    return is_number and values.iloc[:_LOOKED_AT].nunique() >= _FEWEST_VALUES


def _finding(split: str, share: float, have: Array) -> Finding:
    return Finding(
        what=f"{share:.0%} of {split} have a twin in train, a row ten times as near as any other",
        rows=tuple(int(place) + 1 for place in have[: FINDING_ROWS + 1]),
        cost="if they are the same case twice, it is asked what was learned by heart",
        answer="data.group=<what both have in common>, or leave one of each out",
        leaks=True,
    )


def _standardised(train: pd.DataFrame) -> tuple[Array, Callable[[pd.DataFrame], Array]]:
    """The columns (T, F) in deviations, and what makes such of other rows; no value is the mean."""
    known = train.to_numpy(np.float64)
    mean, std = np.nanmean(known, 0), np.nanstd(known, 0)
    std = np.where(std > 0, std, 1.0)

    def scale(rows: pd.DataFrame) -> Array:
        scaled: Array = np.nan_to_num((rows.to_numpy(np.float64) - mean) / std)
        return scaled

    return scale(train), scale


def _nearest(asked: Array, known: Array, themselves: int) -> Array:
    """Squared distances (M, 2) of rows (M, F) to the two nearest of (T, F), but `themselves`."""
    nearest = np.empty((len(asked), 2))
    for at in range(0, len(asked), _AT_ONCE):
        part = asked[at : at + _AT_ONCE]
        # of differences: expanded, squares of what is near would cancel
        squares = np.zeros((len(part), len(known)))
        for column in range(known.shape[1]):
            squares += (part[:, column, None] - known[None, :, column]) ** 2
        last = themselves + 1
        ordered = np.sort(np.partition(squares, last, axis=1)[:, : last + 1], axis=1)
        nearest[at : at + _AT_ONCE] = ordered[:, themselves:]
    return nearest


def _is_equal(squares: Array) -> Array:
    """Which rows (M,) equal one other row, and no second one, by squared distances (M, 2)."""
    equal: Array = (squares[:, 0] == 0) & (squares[:, 1] > 0)
    return equal

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
_FEWEST_VALUES, _LOOKED_AT = 20, 1_000  # different ones of a column that measures, in so many rows


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
    found = []
    for split in ("validation", "test"):
        asked = np.sort(random.permutation(np.flatnonzero(names == split))[:_MOST_ASKED])
        ratios = _ratios(scale(rows[measured].iloc[asked]), values)
        have = asked[ratios < _RATIO]
        if len(have) and len(have) >= _SHARE * len(asked):
            found.append(_finding(split, len(have) / len(asked), have))
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


def _ratios(asked: Array, known: Array) -> Array:
    """The distance to the nearest by that to the second nearest, (M,), of (M, F) to (T, F)."""
    ratios = np.empty(len(asked))
    for at in range(0, len(asked), _AT_ONCE):
        part = asked[at : at + _AT_ONCE]
        # of differences: expanded, squares of what is near would cancel
        squares = np.zeros((len(part), len(known)))
        for column in range(known.shape[1]):
            squares += (part[:, column, None] - known[None, :, column]) ** 2
        first, second = np.partition(squares, 1, axis=1)[:, :2].T
        # where all three are equal, chance or not, neither is nearer
        ratios[at : at + _AT_ONCE] = np.sqrt(first / np.where(second > 0, second, np.inf))
        ratios[at : at + _AT_ONCE][second == 0] = 1.0
    return ratios

"""Held-out rows that are nearly a row of train: the same case twice, measured again or rounded.

Letters: N rows of a table, F columns, M rows that are asked about, T rows of train.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_MOST_ASKED, _MOST_KNOWN = 500, 20_000
_AT_ONCE = 250  # rows of train that are held beside those that are asked about
_LIKELY = 8  # of train, for each row that is asked about: of them the nearest two are found exactly
_FEWEST_VALUES, _LOOKED_AT = 10, 1_000  # different ones of a column that measures, in so many rows


def twins(rows: pd.DataFrame, names: Array, inputs: Sequence[str]) -> list[Finding]:
    """Rows of validation or test with a twin in train, where at least a fifth of them has one.

    A twin is a row whose distance is a tenth of that to the second nearest: the ratio by which
    Lowe (2004, section 7.1) tells matches from chance. Distances are of columns of numbers, in
    standard deviations of train.
    """
    random = np.random.default_rng(0)
    known = random.permutation(np.flatnonzero(names == "train"))[:_MOST_KNOWN]
    columns = {name: rows[name] for name in inputs if _measures(rows[name], known)}
    if len(columns) < _FEWEST_COLUMNS or len(known) < _FEWEST_VALUES:
        return []
    scaled = [_Scaled(column, known) for column in columns.values()]
    # numbers on a coarse grid agree by chance, and do so within train, too
    by_chance = _is_equal(_nearest(scaled, known[:_MOST_ASKED], known, themselves=1)).mean()
    found = []
    for split in ("validation", "test"):
        asked = np.sort(random.permutation(np.flatnonzero(names == split))[:_MOST_ASKED])
        squares = _nearest(scaled, asked, known, themselves=0)
        have = squares[:, 0] < _RATIO**2 * squares[:, 1]
        share = have.mean() - min(by_chance, _is_equal(squares).mean()) if len(asked) else 0.0
        if share >= _SHARE:
            found.append(_finding(split, have.mean(), asked[have]))
    return found


def _measures(values: pd.Series[Any], known: Array) -> bool:
    is_number = pd.api.types.is_float_dtype(values)
    return is_number and values.iloc[known[:_LOOKED_AT]].nunique() >= _FEWEST_VALUES


def _finding(split: str, share: float, have: Array) -> Finding:
    return Finding(
        what=f"{share:.0%} of {split} have a twin in train, a row ten times as near as any other",
        rows=tuple(int(place) + 1 for place in have[: FINDING_ROWS + 1]),
        cost="if they are the same case twice, it is asked what was learned by heart",
        answer="data.group=<what both have in common>, or leave one of each out",
        leaks=True,
    )


class _Scaled:
    """A column (N,) in standard deviations of train, taken where it lies; no value is the mean."""

    def __init__(self, values: pd.Series[Any], known: Array) -> None:
        self.values = values.to_numpy()
        train = self.values[known].astype(np.float64)
        self.mean, std = np.nanmean(train), np.nanstd(train)
        self.std = std if std > 0 else 1.0

    def at(self, places: Array) -> Array:
        """The values of some rows, as many and in the shape of their places."""
        scaled: Array = (self.values[places].astype(np.float64) - self.mean) / self.std
        return np.nan_to_num(scaled, copy=False)


def _nearest(scaled: Sequence[_Scaled], asked: Array, known: Array, themselves: int) -> Array:
    """Squared distances (M, 2) of rows (M,) to the two nearest of (T,), but `themselves`.

    A table need not be in memory: of train, 250 rows are at a time.
    """
    likely = _likely(scaled, asked, known)
    squares = np.zeros(likely.shape)
    for column in scaled:
        squares += (column.at(asked)[:, None] - column.at(likely)) ** 2
    return np.sort(squares, axis=1)[:, themselves : themselves + 2]


def _likely(scaled: Sequence[_Scaled], asked: Array, known: Array) -> Array:
    """The rows of train (M, 8) near each row (M,), by |x|^2 + |y|^2 - 2 xy, for which BLAS is made.

    Of what is near, the terms cancel: to 1e-15 of |x|^2, which misses a row where nine others are
    nearer than that.
    """
    near, rows = _together(scaled, asked), np.empty((len(asked), 0), int)
    squares = np.empty((len(asked), 0))
    for at in range(0, len(known), _AT_ONCE):
        places = known[at : at + _AT_ONCE]
        part = _together(scaled, places)
        # |x|^2 is the same for all that a row is compared with
        more = (part**2).sum(1) - 2 * near @ part.T
        squares = np.hstack([squares, more])
        rows = np.hstack([rows, np.broadcast_to(places, more.shape)])
        if squares.shape[1] > _LIKELY:
            best = np.argpartition(squares, _LIKELY - 1, axis=1)[:, :_LIKELY]
            squares = np.take_along_axis(squares, best, axis=1)
            rows = np.take_along_axis(rows, best, axis=1)
    return rows


def _together(scaled: Sequence[_Scaled], places: Array) -> Array:
    """Some rows (M,) of all columns, as (M, F)."""
    taken = np.empty((len(places), len(scaled)))
    for at, column in enumerate(scaled):
        taken[:, at] = column.at(places)
    return taken


def _is_equal(squares: Array) -> Array:
    """Which rows (M,) equal one other row, and no second one, by squared distances (M, 2)."""
    equal: Array = (squares[:, 0] == 0) & (squares[:, 1] > 0)
    return equal

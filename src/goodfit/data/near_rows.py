"""Rows of test that agree with one of train in all columns but one.

Letters: N rows, F columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.data import digests
from goodfit.data.ordered import different

Array = np.ndarray[Any, Any]
_FEWEST_COLUMNS = 5  # of fewer, rows agree in all but one by chance
_DIFFERENT = 0.8  # of the rows, without a column: where fewer are, they agree by chance


class NearRows(NamedTuple):
    """The places (K,) of rows that agree with one of train but for one column, mostly `name`."""

    places: Array
    name: str


def near_rows(
    rows: pd.DataFrame, names: Array, inputs: Sequence[str], sure: float
) -> NearRows | None:
    """Those of test, where they are more than by chance: the probability of that is below `sure`.

    Chance is that of columns that know nothing of each other. Rows that differ in one of `inputs`
    (F,) agree in one half of them, so the rows that differ from all others in both are left alone.
    """
    if len(inputs) < _FEWEST_COLUMNS:
        return None
    weights = np.random.default_rng(0).integers(1, 2**63, len(inputs), dtype=np.uint64) | 1
    # sums, from which one column is taken out without hashing the others again
    halves = np.zeros((2, len(rows)), np.uint64)
    for place, name in enumerate(inputs):
        halves[place % 2] += _hashes(rows[name]) * weights[place]
    some = np.flatnonzero(digests.are_repeated(halves[0]) | digests.are_repeated(halves[1]))
    total, names_of_some = halves.sum(0)[some], names[some]
    train, test = (np.flatnonzero(names_of_some == split) for split in ("train", "test"))
    found: dict[str, Array] = {}
    for place, name in enumerate(inputs):
        rest = total - _hashes(rows[name].iloc[some]) * weights[place]
        others = len(rows) - len(some)
        if others + different(np.sort(rest)) < _DIFFERENT * len(rows):
            continue
        alike = test[digests.are_in(rest[test], rest[train])]
        if len(alike):
            found[name] = some[alike]
    if not found:
        return None
    found = _more_than_by_chance(found, rows, names, inputs, sure)
    if not found:
        return None
    name = max(found, key=lambda key: len(found[key]))
    return NearRows(np.unique(np.concatenate(list(found.values()))), name)


def _more_than_by_chance(
    found: dict[str, Array], rows: pd.DataFrame, names: Array, inputs: Sequence[str], sure: float
) -> dict[str, Array]:
    """Those of the columns without which more rows agree than by chance."""
    from scipy.stats import poisson

    # that two rows agree in a column
    agree = np.array([_agreement(_hashes(rows[name])) for name in inputs])
    pairs = (names == "train").sum() * (names == "test").sum()
    kept = {}
    for name, places in found.items():
        expected = pairs * np.delete(agree, inputs.index(name)).prod()
        if poisson.sf(len(places) - 1, expected) < sure / len(inputs):
            kept[name] = places
    return kept


def _hashes(values: pd.Series[Any]) -> Array:
    return pd.util.hash_pandas_object(values, index=False).to_numpy()


def _agreement(values: Array) -> float:
    """The probability that two of the hashes (N,) are equal."""
    ordered = np.sort(values)
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = np.diff(ends, prepend=-1)
    return float(((counts / len(values)) ** 2).sum())

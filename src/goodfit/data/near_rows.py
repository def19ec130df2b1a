"""Held-out rows that agree with one of train in all columns but one.

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
_HELD_OUT = ("validation", "test")
_DIFFERENT = 0.8  # of the rows, without a column: where fewer are, they agree by chance


class NearRows(NamedTuple):
    """The places (K,) of rows of a split that agree with one of train but for a column, mostly one.

    That is `name`.
    """

    split: str
    places: Array
    name: str


def near_rows(
    rows: pd.DataFrame, names: Array, inputs: Sequence[str], sure: float
) -> list[NearRows]:
    """Those of validation or test, where they are more than by chance has a probability of `sure`.

    Chance is that of columns that know nothing of each other. Rows that differ in one of `inputs`
    (F,) agree in one half of them, so the rows that differ from all others in both are left alone.
    """
    if len(inputs) < _FEWEST_COLUMNS:
        return []
    weights = np.random.default_rng(0).integers(1, 2**63, len(inputs), dtype=np.uint64) | 1
    # sums, from which one column is taken out without hashing the others again
    halves = np.zeros((2, len(rows)), np.uint64)
    for place, name in enumerate(inputs):
        halves[place % 2] += _hashes(rows[name]) * weights[place]
    some = np.flatnonzero(digests.are_repeated(halves[0]) | digests.are_repeated(halves[1]))
    total, names_of_some = halves.sum(0)[some], names[some]
    train = np.flatnonzero(names_of_some == "train")
    held_out = {split: np.flatnonzero(names_of_some == split) for split in _HELD_OUT}
    found: dict[str, dict[str, Array]] = {split: {} for split in _HELD_OUT}
    for place, name in enumerate(inputs):
        rest = total - _hashes(rows[name].iloc[some]) * weights[place]
        others = len(rows) - len(some)
        if others + different(np.sort(rest)) < _DIFFERENT * len(rows):
            continue
        for split, asked in held_out.items():
            alike = asked[digests.are_in(rest[asked], rest[train])]
            if len(alike):
                found[split][name] = some[alike]
    return _more_than_by_chance(found, rows, names, inputs, sure)


def _more_than_by_chance(
    found: dict[str, dict[str, Array]],
    rows: pd.DataFrame,
    names: Array,
    inputs: Sequence[str],
    sure: float,
) -> list[NearRows]:
    """The rows of each split, of columns without which more of them agree than by chance."""
    from scipy.stats import poisson

    if not any(found.values()):
        return []
    # that two rows agree in a column
    agree = np.array([_agreement(_hashes(rows[name])) for name in inputs])
    near = []
    for split, of_split in found.items():
        pairs = (names == "train").sum() * (names == split).sum()
        kept = {}
        for name, places in of_split.items():
            expected = pairs * np.delete(agree, inputs.index(name)).prod()
            if poisson.sf(len(places) - 1, expected) < sure / (len(_HELD_OUT) * len(inputs)):
                kept[name] = places
        if kept:
            mostly = max(kept, key=lambda key: len(kept[key]))
            near.append(NearRows(split, np.unique(np.concatenate(list(kept.values()))), mostly))
    return near


def _hashes(values: pd.Series[Any]) -> Array:
    return pd.util.hash_pandas_object(values, index=False).to_numpy()


def _agreement(values: Array) -> float:
    """The probability that two of the hashes (N,) are equal."""
    ordered = np.sort(values)
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = np.diff(ends, prepend=-1)
    return float(((counts / len(values)) ** 2).sum())

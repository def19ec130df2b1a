"""Rows that agree in all columns but one, against a look at every pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from goodfit.data.near_rows import near_rows


def table(rows: int, columns: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of chance; each tenth of them is another one but for a column, or wholly."""
    rng = np.random.default_rng(rows)
    values = rng.normal(size=(rows, columns))
    for row in range(0, rows, 10):
        values[row] = values[rng.integers(rows)]
        if row % 20:
            values[row, rng.integers(columns)] = 9.0
    names = rng.choice(["train", "validation", "test"], rows)
    return pd.DataFrame(values, columns=[f"x{place}" for place in range(columns)]), names


@pytest.mark.parametrize("columns", [5, 6, 9])
def test_they_are_those_of_all_pairs(columns: int) -> None:
    rows, names = table(900, columns)
    cells = rows.to_numpy()
    expected: dict[str, list[int]] = {"validation": [], "test": []}
    for split, places in expected.items():
        for row in np.flatnonzero(names == split):
            agree = (cells[names == "train"] == cells[row]).sum(axis=1)
            places += [int(row)] if (agree >= columns - 1).any() else []
        assert len(places) >= 5
    found = near_rows(rows, names, list(rows), 1e-6)
    assert {near.split: near.places.tolist() for near in found} == expected


def test_of_rows_of_chance_there_are_none() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(300, 6)), columns=list("abcdef"))
    assert near_rows(rows, rng.choice(["train", "test"], 300), list(rows), 1e-6) == []

"""Held-out rows that are nearly rows of train are found, and chance is not taken for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from goodfit.data.twins import twins

NAMES = np.array((["train"] * 7 + ["validation"] + ["test"] * 2) * 80)
INPUTS = [f"x{number}" for number in range(5)]


def clean(seed: int = 0) -> pd.DataFrame:
    """800 rows of five numbers that depend on each other."""
    drawn = np.random.default_rng(seed)
    values = drawn.normal(size=(len(NAMES), 5)) @ drawn.normal(size=(5, 5))
    return pd.DataFrame(values, columns=INPUTS)


def with_twins(split: str, share: float, noise: float) -> pd.DataFrame:
    """A share of a split are rows of train, measured again."""
    rows, drawn = clean(), np.random.default_rng(1)
    held_out = np.flatnonzero(split == NAMES)
    held_out = held_out[: round(share * len(held_out))]
    known = np.flatnonzero(NAMES == "train")[: len(held_out)]
    again = rows.iloc[known].to_numpy() + noise * drawn.normal(size=(len(known), 5))
    rows.iloc[held_out] = again
    return rows


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01])
def test_rows_that_were_measured_twice_are_found(split: str, noise: float) -> None:
    (finding,) = twins(with_twins(split, 0.5, noise), NAMES, INPUTS)
    share, _, rest = finding.what.partition(" of ")
    assert 40 <= int(share.removesuffix("%")) <= 55
    assert rest == f"{split} have a twin in train, a row ten times as near as any other"
    assert finding.leaks
    assert all(NAMES[row - 1] == split for row in finding.rows)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_found_by_chance(seed: int) -> None:
    assert twins(clean(seed), NAMES, INPUTS) == []


def test_a_few_twins_are_no_finding() -> None:
    assert twins(with_twins("validation", 0.1, 0.0), NAMES, INPUTS) == []


def test_whole_numbers_agree_by_chance() -> None:
    assert twins(clean().round() // 2, NAMES, INPUTS) == []


@pytest.mark.parametrize("levels", [10, 14, 20, 30])
def test_numbers_on_a_grid_agree_by_chance(levels: int) -> None:
    drawn = np.random.default_rng(levels).integers(0, levels, (len(NAMES), 3))
    rows = pd.DataFrame(drawn.astype(float), columns=INPUTS[:3])
    assert twins(rows, NAMES, INPUTS[:3]) == []


def test_copies_of_whole_numbers_are_found() -> None:
    drawn = np.random.default_rng(0).integers(0, 17, (len(NAMES), 8)).astype(float)
    drawn[NAMES == "validation"] = drawn[NAMES == "train"][: (NAMES == "validation").sum()]
    columns = [f"x{number}" for number in range(8)]
    (finding,) = twins(pd.DataFrame(drawn, columns=columns), NAMES, columns)
    assert finding.what.startswith("100% of validation have a twin in train")


def test_points_of_a_line_are_near_each_other() -> None:
    """In one dimension one in ten is a twin by chance: less than the border."""
    line = pd.Series(np.random.default_rng(0).normal(size=len(NAMES)))
    rows = pd.DataFrame({name: line * (place + 1.0) for place, name in enumerate(INPUTS)})
    assert twins(rows, NAMES, INPUTS) == []


def test_missing_cells_are_no_distance_to_their_mean() -> None:
    rows = with_twins("validation", 0.5, 0.0)
    rows.loc[::50, "x1"] = np.nan
    assert len(twins(rows, NAMES, INPUTS)) == 1


def test_each_twin_is_found_as_by_all_distances() -> None:
    """Of more rows than are held at once, with numbers of different sizes and missing cells."""
    drawn = np.random.default_rng(0)
    names = np.array((["train"] * 4 + ["test"]) * 400)
    values = drawn.normal(size=(len(names), 4)) * [1e-3, 1, 50, 1e6] + [0, 0, 1e3, 1e9]
    held_out = np.flatnonzero(names == "test")
    noise = np.geomspace(1e-9, 1, len(held_out))[:, None] * drawn.normal(size=(len(held_out), 4))
    again = values[drawn.permutation(np.flatnonzero(names == "train"))[: len(held_out)]]
    values[held_out] = again + noise * values.std(0)
    values[::70, 1] = np.nan

    train = values[names == "train"]
    scaled = np.nan_to_num((values - np.nanmean(train, 0)) / np.nanstd(train, 0))
    squares = cdist(scaled[held_out], scaled[names == "train"], "sqeuclidean")
    nearest = np.sort(squares, axis=1)
    have = nearest[:, 0] < 0.01 * nearest[:, 1]
    (finding,) = twins(pd.DataFrame(values, columns=[*"abcd"]), names, [*"abcd"])
    assert finding.what.startswith(f"{have.mean():.0%} of test have a twin")
    assert finding.rows == tuple(held_out[have][: len(finding.rows)] + 1)

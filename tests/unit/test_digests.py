"""Digests of many rows at once: equal where rows are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from goodfit.data import digests

ROWS = pd.DataFrame(
    {
        "x": [1.0, 1.0, 2.0, np.nan, -0.0, 0.0, np.nan],
        "y": [2.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        "word": ["a", "a", "a", "", "b", "b", ""],
        "day": pd.to_datetime(["2024-01-01"] * 6 + [None]),
    }
)


def groups(table: pd.DataFrame) -> list[int]:
    return digests.numbered(digests.of_columns(table[name] for name in table)).tolist()


def test_rows_have_the_same_number_where_all_their_cells_are_the_same() -> None:
    # 0 and -0 are two values, one NaN is as another
    assert groups(ROWS) == [0, 0, 1, 2, 3, 4, 5]
    assert groups(ROWS.drop(columns="day")) == [0, 0, 1, 2, 3, 4, 2]


def test_values_that_change_their_columns_are_another_row() -> None:
    swapped = pd.DataFrame({"x": [1.0, 2.0], "y": [2.0, 1.0]})
    assert groups(swapped) == [0, 1]
    texts = pd.DataFrame({"x": ["ab", "a"], "y": ["c", "bc"]})
    assert groups(texts) == [0, 1]


def test_numbers_that_differ_in_one_bit_differ_in_a_hundred_thousand_rows() -> None:
    powers = pd.Series(np.arange(100_000) * 2.0**40)
    assert len(set(groups(powers.to_frame("x")))) == len(powers)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_arrays_are_told_apart_by_one_element(dtype: str, shape: tuple[int, ...]) -> None:
    arrays = np.zeros((40, *shape), dtype)
    flat = arrays.reshape(40, -1)
    for row in range(1, flat.shape[1] + 1):
        flat[row, row - 1] = 1
    known = digests.numbered(digests.of_arrays([arrays]))
    assert len(set(known.tolist())) == 1 + flat.shape[1]


def test_a_digest_depends_on_no_other_row_of_its_part() -> None:
    array = np.random.default_rng(0).integers(0, 256, (50, 7), np.uint8)
    whole = digests.of_arrays([array, array[:, :2]])
    parts = [digests.of_arrays([array[row : row + 9], array[row : row + 9, :2]]) for row in (0, 9)]
    assert np.array_equal(whole[:18], np.concatenate(parts))


def test_values_among_others_are_those_of_a_set() -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 50):
        ours, theirs = rng.integers(0, 60, 40), rng.integers(0, 60, count)
        expected = [value in set(theirs.tolist()) for value in ours.tolist()]
        assert digests.are_in(ours, theirs).tolist() == expected


def test_contents_as_long_as_a_digest_stand_for_themselves_alone_and_among_others() -> None:
    long, short = bytes(range(16)), b"short"
    for contents in ([long], [long, short], [short], []):
        assert digests.of_each(contents) == b"".join(map(digests.of_bytes, contents))


def test_what_is_in_both_is_counted_as_sets_count_it() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (digests.of_arrays([rng.integers(0, 30, (200, 2))]) for _ in range(2))
    # equal in the first half alone
    ours[0, :8], ours[0, 8:] = theirs[0, :8], 7
    known = set(digests.as_list(theirs))
    assert digests.in_both(ours, theirs) == sum(each in known for each in digests.as_list(ours))


def test_numbers_are_in_the_order_of_the_first_of_each() -> None:
    rng = np.random.default_rng(0)
    for different in (1, 7, 90, 10**6):
        rows = rng.integers(0, different, 100)
        known = digests.numbered(digests.of_columns([pd.Series(rows.astype(float))]))
        assert known.tolist() == pd.factorize(rows)[0].tolist()
    assert not len(digests.numbered(np.zeros((0, 16), np.uint8)))

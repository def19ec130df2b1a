"""The rules of splitting: shares hold, groups stay whole, no target straddles a border."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from goodfit.data.split import NO_SPLIT, SPLITS, by_time, grouped, joined, stratified
from goodfit.errors import UserError

STRATA = np.array(["a"] * 101 + ["b"] * 37 + ["c"] * 12)


def films(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The film and the label of 900 reviews."""
    rng = np.random.default_rng(seed)
    film = rng.integers(0, 60, 900).astype(str)
    return film, rng.choice(["fresh", "rotten"], 900, p=[0.6, 0.4])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("test", "validation"), [(0.2, 0.1), (0.15, 0.3), (0.1, 0.1)])
def test_each_stratum_has_the_wanted_shares_within_one_sample(
    test: float, validation: float, seed: int
) -> None:
    names = stratified(STRATA, test, validation, seed)
    shares = {"train": 1 - test - validation, "validation": validation, "test": test}
    for stratum, size in Counter(STRATA.tolist()).items():
        counts = Counter(names[stratum == STRATA].tolist())
        assert all(abs(counts[split] - share * size) <= 1 for split, share in shares.items())


def test_a_split_is_a_function_of_its_seed() -> None:
    assert (stratified(STRATA, 0.2, 0.1, 7) == stratified(STRATA, 0.2, 0.1, 7)).all()


def test_another_seed_splits_otherwise() -> None:
    assert (stratified(STRATA, 0.2, 0.1, 7) != stratified(STRATA, 0.2, 0.1, 8)).any()


def duplicates(seed: int) -> np.ndarray:
    """Numbers of groups for 150 rows, of which about a third repeat another one."""
    return np.random.default_rng(seed).integers(0, 120, len(STRATA))


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_of_a_row_are_in_one_split(seed: int) -> None:
    groups = duplicates(seed)
    names = stratified(STRATA, 0.2, 0.1, seed, duplicate_group=groups)
    assert all(len(set(names[groups == group])) == 1 for group in set(groups))


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_leave_the_shares_within_the_heaviest_group(seed: int) -> None:
    groups = np.sort(duplicates(seed))  # a group has one stratum but at its borders
    heaviest = max(Counter(groups.tolist()).values())
    names = stratified(STRATA, 0.2, 0.1, seed, duplicate_group=groups)
    for stratum, size in Counter(STRATA.tolist()).items():
        counts = Counter(names[stratum == STRATA].tolist())
        for split, share in [("test", 0.2), ("train", 0.7)]:
            assert abs(counts[split] - share * size) <= 2 * heaviest


def test_rows_without_duplicates_are_split_as_if_nobody_had_looked_for_any() -> None:
    own = np.random.default_rng(0).permutation(len(STRATA))
    names = stratified(STRATA, 0.2, 0.1, 3, duplicate_group=own)
    assert (names == stratified(STRATA, 0.2, 0.1, 3)).all()


def test_groups_that_share_a_row_of_another_grouping_are_joined() -> None:
    films, texts = np.array(["a", "a", "b", "c", "d", "c"]), np.array([1, 2, 2, 3, 4, 5])
    groups = joined(films, texts)
    members = [np.flatnonzero(groups == group).tolist() for group in dict.fromkeys(groups)]
    assert members == [[0, 1, 2], [3, 5], [4]]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits(seed: int) -> None:
    groups, strata = films(seed)
    names = grouped(groups, strata, 0.2, 0.1, seed)
    assert all(len(set(names[groups == group])) == 1 for group in set(groups))


def test_whole_groups_leave_each_split_within_two_percent_of_its_share() -> None:
    groups, strata = films(0)
    names = grouped(groups, strata, 0.2, 0.1, 0)
    shares = {split: (names == split).mean() for split in SPLITS}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.02)


def test_whole_groups_leave_the_strata_in_like_proportions() -> None:
    groups, strata = films(1)
    names = grouped(groups, strata, 0.2, 0.1, 0)
    shares = [(strata[names == split] == "fresh").mean() for split in SPLITS]
    assert max(shares) - min(shares) < 0.06


def test_a_target_that_straddles_a_border_is_in_no_split() -> None:
    first = np.arange(100)
    last = first + 9
    names = by_time(first, last, 50, 80)
    assert np.flatnonzero(names == NO_SPLIT).tolist() == [*range(41, 50), *range(71, 80)]


def test_all_targets_of_train_end_before_the_first_of_validation_begins() -> None:
    first = np.random.default_rng(0).permutation(200)
    last = first + 5
    names = by_time(first, last, 120, 160)
    assert last[names == "train"].max() < 120 <= first[names == "validation"].min()
    assert last[names == "validation"].max() < 160 <= first[names == "test"].min()


def test_an_empty_split_is_named() -> None:
    with pytest.raises(UserError) as error:
        stratified(np.array(["a"] * 3), 0.1, 0.4, 0)
    assert str(error.value) == (
        "3 samples (3 different inputs, 1 groups of targets) leave the test split empty; it takes "
        "more samples, or a larger share"
    )


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(UserError, match="validation and test split empty"):
        grouped(np.array(["a"] * 9), np.array(["x"] * 9), 0.2, 0.2, 0)


def test_borders_outside_the_series_are_refused() -> None:
    with pytest.raises(UserError, match="test split empty"):
        by_time(np.arange(10), np.arange(10), 5, 20)


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(UserError, match="leave nothing to train on"):
        stratified(STRATA, 0.6, 0.4, 0)


def test_each_share_is_rounded_to_the_nearest_row() -> None:
    names = stratified(np.zeros(10), 0.2, 0.2, seed=0)
    counts = {name: int((names == name).sum()) for name in SPLITS}
    assert counts == {"train": 6, "validation": 2, "test": 2}


def test_a_large_group_is_assigned_before_small_ones() -> None:
    """Small ones first would take of train's share what the large one then exceeds."""
    groups = np.repeat(np.arange(5), [10, 10, 60, 10, 10])
    names = grouped(groups, np.zeros(100), 0.2, 0.2, seed=0)
    counts = {name: int((names == name).sum()) for name in SPLITS}
    assert counts == {"train": 60, "validation": 20, "test": 20}

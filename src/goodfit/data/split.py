"""Which row is in train, validation or test: a few rules, each a pure function of its arguments.

Letters: N rows, G groups of rows, S strata.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from goodfit.errors import UserError

Array = np.ndarray[Any, Any]
SPLITS = ("train", "validation", "test")
NO_SPLIT = ""  # an array of names has no None
_NAME = "<U10"  # the longest name is "validation"


def stratified(
    strata: Array,
    test: float,
    validation: float,
    seed: int,
    *,
    duplicate_group: Array | None = None,
) -> Array:
    """Names of splits, (N,): each stratum (N,) is divided in the same proportions.

    They hold within one row. Rows with the same number in `duplicate_group` (N,) stay together: the
    first of them stands for all, in its stratum and with their weight; the proportions then hold
    within the heaviest group.

    Raises:
        UserError: the shares leave a split without rows.
    """
    rng = np.random.default_rng(seed)
    first, group_of, weight = _groups(np.arange(len(strata)), duplicate_group)
    # by their first row: without duplicates, rows are shuffled as if nobody had looked for any
    order = np.argsort(first)

    position = np.empty(len(first))  # of each group in its stratum, between 0 and 1
    for stratum in np.unique(strata[first]):
        shuffled = rng.permutation(order[strata[first[order]] == stratum])
        end = weight[shuffled].cumsum()
        position[shuffled] = (end - weight[shuffled] / 2) / end[-1]
    groups = len(np.unique(strata[first]))
    of_each = f" ({len(first)} different inputs, {groups} groups of targets)"
    return _cut(position[group_of], test, validation, of_each)


def _groups(alone: Array, groups: Array | None) -> tuple[Array, Array, Array]:
    """The first row of each group (G,), the place of each row's group (N,), and the sizes (G,).

    Without `groups` (N,), or where these are the numbers of the rows (N,), each is `alone`.
    """
    if groups is None or np.array_equal(groups, alone):
        return alone, alone, np.ones(len(alone), int)
    _, first, group_of, weight = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    return first, group_of, weight


def joined(groups: Array, other: Array) -> Array:
    """The number of each row's group, (N,): rows that share a value of either (N,) are in one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, left = np.unique(groups, return_inverse=True)
    _, right = np.unique(other, return_inverse=True)

    # a graph: its nodes are the values of both, its edges the rows, its components the groups
    width = int(left.max()) + 1
    size = width + int(right.max()) + 1
    edges = coo_array((np.ones(len(left)), (left, width + right)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    return np.asarray(component[left])


def grouped(groups: Array, strata: Array, test: float, validation: float, seed: int) -> Array:
    """Names of splits, (N,): all rows of a group (N,) are in one split.

    So a film, patient or site of test is never seen in train. Groups are assigned one by one,
    largest first, each to the split that lacks most of its share of the group's strata (N,): the
    proportions of the strata hold as nearly as whole groups allow.

    Raises:
        UserError: the shares leave a split without rows.
    """
    rng = np.random.default_rng(seed)
    names, group_of = np.unique(groups, return_inverse=True)
    stratum_names, stratum_of = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(names), len(stratum_names)))  # (G, S)
    np.add.at(counts, (group_of, stratum_of), 1)

    # groups of one size in random order: the sort is stable
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]

    shares = [1 - test - validation, validation, test]  # in the order of SPLITS
    wanted = np.outer(shares, counts.sum(0))  # (3, S)
    assigned = np.zeros_like(wanted)
    split_of = np.empty(len(names), int)
    for group in order:
        missing = (wanted - assigned) @ counts[group]  # (3,), weighted by the group's strata
        # relative to a split's size: else train, the largest, would get every group at first
        split_of[group] = int(np.argmax(missing / wanted.sum(1).clip(min=1e-9)))
        assigned[split_of[group]] += counts[group]
    return _without_empty(np.array(SPLITS)[split_of[group_of]])


def without_copies(names: Array, duplicate_group: Array) -> Array:
    """The names (N,), with held-out rows in no split where their group (N,) is in an earlier one.

    Earlier is train for validation, and both of them for test. For groups that are looser than
    equal inputs, such as sentences that differ in their numbers: to keep them together, too, would
    join nearly all pages of a manual.

    Raises:
        UserError: a split is left without rows.
    """
    kept = names.copy()
    seen: set[Any] = set()
    for name in SPLITS:
        rows = names == name
        kept[rows & np.isin(duplicate_group, list(seen))] = NO_SPLIT
        seen |= set(duplicate_group[rows].tolist())
    return _without_empty(kept)


def by_time(first: Array, last: Array, validation_from: Any, test_from: Any) -> Array:
    """Names of splits, (N,), by the times (N,) at which each target begins and ends.

    A target that straddles a border is in no split: one part of it would be trained on, and the
    other tested.

    Raises:
        UserError: the borders leave a split without rows.
    """
    names = np.full(len(first), NO_SPLIT, dtype=_NAME)
    names[last < validation_from] = "train"
    names[(first >= validation_from) & (last < test_from)] = "validation"
    names[first >= test_from] = "test"
    return _without_empty(names)


def _cut(position: Array, test: float, validation: float, of_each: str) -> Array:
    """Names of splits for positions (N,) between 0 and 1: test first, train last.

    `of_each` describes the samples, where they are too few.
    """
    if test + validation >= 1:
        raise UserError(
            f"data.test={test} and data.validation={validation} leave nothing to train on"
        )
    names = np.full(len(position), "train", dtype=_NAME)
    names[position < test + validation] = "validation"
    names[position < test] = "test"
    return _without_empty(names, of_each)


def _without_empty(names: Array, of_each: str = "") -> Array:
    empty = [split for split in SPLITS if not (names == split).any()]
    if empty:
        raise UserError(
            f"{len(names)} samples{of_each} leave the {' and '.join(empty)} split empty; it takes "
            "more samples, or a larger share"
        )
    return names.astype(_NAME, copy=False)

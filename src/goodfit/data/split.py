"""Which sample is trained on, chosen on, tested on: a few rules, each a pure function of its
arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from goodfit.errors import UserError

Array = np.ndarray[Any, Any]
SPLITS = ("train", "validation", "test")


def stratified(
    strata: Array, test: float, validation: float, seed: int, *, alike: Array | None = None
) -> Array:
    """Each stratum is divided in the same proportions, within one sample.

    Rows with the same number in `alike` (N,) stay together: the first of them stands for all, in
    its stratum and with their weight. The proportions then hold within the heaviest of them.
    """
    rng = np.random.default_rng(seed)
    _, first, group, weight = np.unique(
        np.arange(len(strata)) if alike is None else alike,
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    place = np.empty(len(first))
    order = np.argsort(
        first
    )  # by the first row, so that without copies each row is dealt as if alone
    for stratum in np.unique(strata[first]):
        dealt = rng.permutation(order[strata[first[order]] == stratum])
        end = weight[dealt].cumsum()
        place[dealt] = (end - weight[dealt] / 2) / end[-1]
    return _cut(place[group], test, validation)


def joined(one: Array, other: Array) -> Array:
    """The number of each row's group, (N,), where rows that share a value of either belong
    together.
    """
    ones, others = (np.unique(column, return_inverse=True)[1] for column in (one, other))
    width = int(ones.max()) + 1
    size = width + int(others.max()) + 1
    edges = coo_array((np.ones(len(ones)), (ones, width + others)), shape=(size, size))
    return np.asarray(connected_components(edges, directed=False)[1][ones])


def grouped(groups: Array, strata: Array, test: float, validation: float, seed: int) -> Array:
    """All rows of a group fall on one side, so a film, patient or site of test is never seen in
    train.

    Groups are dealt one by one, largest first, each to the split that then lies closest to its
    share of every stratum: the proportions of the strata hold as nearly as whole groups allow.
    """
    rng = np.random.default_rng(seed)
    names, group_of = np.unique(groups, return_inverse=True)
    kinds, kind_of = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(names), len(kinds)))
    np.add.at(counts, (group_of, kind_of), 1)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    wanted = np.outer([1 - test - validation, validation, test], counts.sum(0))  # (split, stratum)
    have = np.zeros_like(wanted)
    side = np.empty(len(names), int)
    for group in order:
        missing = (wanted - have) @ counts[group]  # how much this group's strata are still wanted
        side[group] = int(np.argmax(missing / wanted.sum(1).clip(min=1e-9)))
        have[side[group]] += counts[group]
    return _named(np.array(SPLITS)[side[group_of]])


def by_time(first: Array, last: Array, validation_from: Any, test_from: Any) -> Array:
    """Splits by the time at which each target begins and ends; "" for a target that straddles a
    border.
    """
    result = np.full(len(first), "", dtype="<U10")
    result[last < validation_from] = "train"
    result[(first >= validation_from) & (last < test_from)] = "validation"
    result[first >= test_from] = "test"
    return _named(result)


def _cut(place: Array, test: float, validation: float) -> Array:
    if test + validation >= 1:
        raise UserError(
            f"data.test={test} and data.validation={validation} leave nothing to train on"
        )
    result = np.where(
        place < test, "test", np.where(place < test + validation, "validation", "train")
    )
    return _named(result)


def _named(result: Array) -> Array:
    empty = [name for name in SPLITS if not (result == name).any()]
    if empty:
        raise UserError(
            f"{len(result)} samples leave the {' and '.join(empty)} split empty; enlarge its share"
        )
    return result.astype("<U10")

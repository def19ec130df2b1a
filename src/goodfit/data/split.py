"""Which sample is trained on, chosen on, tested on: three rules, each a pure function of its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from goodfit.errors import UserError

Array = np.ndarray[Any, Any]
SPLITS = ("train", "validation", "test")


def stratified(strata: Array, test: float, validation: float, seed: int) -> Array:
    """Each stratum is divided in the same proportions, within one sample."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(strata))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        place[rng.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    return _cut(place, test, validation)


def grouped(groups: Array, strata: Array, test: float, validation: float, seed: int) -> Array:
    """All rows of a group fall on one side, so a film, patient or site of test is never seen in train.

    Groups are dealt one by one, largest first, each to the split that then lies closest to its share of
    every stratum: the proportions of the strata hold as nearly as whole groups allow.
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
    """Splits by the time at which each target begins and ends; "" for a target that straddles a border."""
    result = np.full(len(first), "", dtype="<U10")
    result[last < validation_from] = "train"
    result[(first >= validation_from) & (last < test_from)] = "validation"
    result[first >= test_from] = "test"
    return _named(result)


def _cut(place: Array, test: float, validation: float) -> Array:
    if test + validation >= 1:
        raise UserError(f"data.test={test} and data.validation={validation} leave nothing to train on")
    result = np.where(place < test, "test", np.where(place < test + validation, "validation", "train"))
    return _named(result)


def _named(result: Array) -> Array:
    empty = [name for name in SPLITS if not (result == name).any()]
    if empty:
        raise UserError(f"{len(result)} samples leave the {' and '.join(empty)} split empty; enlarge its share")
    return result.astype("<U10")

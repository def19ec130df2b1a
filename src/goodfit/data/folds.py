"""The folds of a cross-validation: train and validation are divided anew, by the data's own rule.

Rows of test stay there, and belong to no fold. Letters: N rows, K folds, U units, S strata.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from goodfit.data import split
from goodfit.data.base import CLASSES, Array, DataSet
from goodfit.errors import UserError

SIDES = ("train", "validation")
_ROUNDING = 1e-9  # of shares that are equal


@dataclass(frozen=True)
class Fold:
    """The fold of this `number`, from 0, among `count`: it is held out, the others are trained on.

    In time, the folds before it are.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"fold {self.number + 1} of {self.count}"


def shared(data: DataSet, fold: Fold | None) -> DataSet:
    """The data set, which in time ends where the fold does: what is later counts as test.

    The windows of K folds lie one behind the other before test, and the last one is the data set's
    own validation. Where K times its share would leave little to train on, they are shorter: the
    first fold is never trained on less than it holds out (Tashman 2000, rolling origin).
    """
    if fold is None or not data.in_time:
        return data
    window = min(data.validation, (1 - data.test) / (fold.count + 1))
    return data.with_shares(data.test + (fold.count - 1 - fold.number) * window, window)


def names(data: DataSet, fold: Fold | None, rows: pd.DataFrame, duplicate_group: Array) -> Array:
    """The name of each row's split, (N,), as `DataSet.split` has it; of a fold, as it has it.

    Rows of one unit, and rows whose number in `duplicate_group` (N,) is equal, are on one side, as
    the split keeps them together.

    Raises:
        UserError: there are fewer samples, units or members of a class than folds; a side is empty,
            or has a single class.
    """
    if fold is None:
        return data.split(rows, duplicate_group)
    try:
        found = data.split(rows, duplicate_group)
        if not data.in_time:
            if data.equal_rows == "apart":
                duplicate_group = np.arange(len(rows))
            found = _divided(data, fold, rows, duplicate_group, found)
    except UserError as error:
        raise UserError(f"cv={fold.count}, {fold}: {error}") from None
    _check_sides(data, fold, rows, found)
    return found


def assigned(units: Array, strata: Array, count: int, seed: int) -> Array:
    """The fold of each row, (N,), from 0: whole units (N,), each stratum (N,) in equal parts.

    Units are assigned one by one, largest first, each to the fold that lacks most of its strata,
    and of those that lack as much, to the smallest. Of single rows the sizes differ by one at most,
    in each stratum and in all.
    """
    rng = np.random.default_rng(seed)
    _, unit_of = np.unique(units, return_inverse=True)
    _, stratum_of = np.unique(strata, return_inverse=True)
    total = int(unit_of.max()) + 1
    if total == len(units):  # a million rows in no time: dealt out, one stratum after the other
        order = rng.permutation(total)
        order = order[np.argsort(stratum_of[order], kind="stable")]
        dealt = np.empty(total, int)
        dealt[order] = np.arange(total) % count
        return dealt

    counts = np.zeros((total, int(stratum_of.max()) + 1))  # (U, S)
    np.add.at(counts, (unit_of, stratum_of), 1)
    order = rng.permutation(total)
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    wanted = counts.sum(0) / count  # (S,)
    filled = np.zeros((count, len(wanted)))
    fold_of = np.empty(total, int)
    for unit in order:
        missing = (wanted - filled) @ counts[unit]  # (K,)
        lacking = np.flatnonzero(missing >= missing.max() - _ROUNDING)
        fold_of[unit] = lacking[np.argmin(filled[lacking].sum(1))]
        filled[fold_of[unit]] += counts[unit]
    return fold_of[unit_of]


def _divided(
    data: DataSet, fold: Fold, rows: pd.DataFrame, duplicate_group: Array, found: Array
) -> Array:
    """The names (N,), with train and validation of the split `found` (N,) divided as the fold is.

    Raises:
        UserError: they have fewer units, or members of a class, than folds.
    """
    taken = np.flatnonzero(np.isin(found, SIDES))
    some = rows.iloc[taken]
    units = data.units(some, duplicate_group[taken])
    _check_units(fold, units, f"train and validation, {len(taken)} samples,")
    classes = [(units[members], label) for label, members in _by_class(data, some)]
    for of_label, label in sorted(classes, key=lambda item: len(np.unique(item[0]))):
        _check_units(fold, of_label, f"label '{label}'")
    fold_of = assigned(units, data.strata(some), fold.count, data.split_seed)
    names = found.copy()
    names[taken] = np.where(fold_of == fold.number, *reversed(SIDES))

    # looser copies than those that are kept together: as in the split, not held out beside train
    seen = set(duplicate_group[names == SIDES[0]].tolist())
    held_out = names == SIDES[1]
    names[held_out & np.isin(duplicate_group, list(seen))] = split.NO_SPLIT
    return names


def _by_class(data: DataSet, rows: pd.DataFrame) -> list[tuple[str, Array]]:
    """Each class with the rows (N,) that have it; none where targets are no classes."""
    if data.kind not in CLASSES:
        return []
    codes, labels = pd.factorize(rows[data.label].astype(str), sort=True)
    return [(str(label), codes == code) for code, label in enumerate(labels)]


def _check_units(fold: Fold, units: Array, where: str) -> None:
    number = len(np.unique(units))
    if number < fold.count:
        most = f"; cv={number} is the most" if number > 1 else ""
        raise UserError(
            f"{where} has {number} independent {'unit' if number == 1 else 'units'}, fewer than "
            f"folds{most}"
        )


def _check_sides(data: DataSet, fold: Fold, rows: pd.DataFrame, names: Array) -> None:
    for side in SIDES:
        of_side = rows[names == side]
        if not len(of_side):
            raise UserError(f"cv={fold.count}, {fold}: {side} is empty; choose fewer folds")
        classes = _by_class(data, of_side)
        if len(classes) == 1:
            raise UserError(
                f"cv={fold.count}, {fold}: {side} has a single class '{classes[0][0]}'; "
                "choose fewer folds"
            )

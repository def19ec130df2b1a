"""Several targets of a row in one cell: labels that hold at once, or several numbers.

Labels are a text that begins, ends and is parted with a separator of our own; numbers are parted by
blanks. So a row has one target in every room, and nothing is split twice.

Letters: N rows of the table, K labels or numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import Field
from goodfit.data import features
from goodfit.data.columns import decide
from goodfit.data.faults import Faults, shown
from goodfit.errors import UserError
from goodfit.schema import ReadAs
from goodfit.system.units import counted

KINDS = ("labels", "numbers")
_MOST_LOOKED_AT = 20  # labels of which columns may be leaks
_BETWEEN = "\x1f"  # the unit separator of ASCII, which no label holds
_YES_OR_NO = {"yes": 1.0, "y": 1.0, "true": 1.0, "t": 1.0, "1": 1.0}
_YES_OR_NO |= {"no": 0.0, "n": 0.0, "false": 0.0, "f": 0.0, "0": 0.0}
Array = np.ndarray[Any, Any]


def check_options(targets: Sequence[str], kind: str, separator: str | None) -> None:
    """As many columns are named as the kind takes.

    Raises:
        UserError: more or fewer, or a separator is missing or has nothing to part.
    """
    named = f"data.label names {len(targets)}"
    if kind == "numbers" and len(targets) < 2:
        raise UserError(f"data.kind=numbers takes several columns, {named}; or choose kind=number")
    if kind not in KINDS and len(targets) != 1:
        raise UserError(
            f"data.kind={kind} takes one column, {named}; several yes/no columns are kind=labels, "
            "several numbers kind=numbers"
        )
    if len(set(targets)) < len(targets):
        raise UserError(f"data.label names a column twice: {', '.join(targets)}")
    if (kind == "labels" and len(targets) == 1) != bool(separator):
        raise UserError(
            "data.separator is what parts the labels of a cell where data.kind=labels and "
            "data.label names one column; it is for nothing else"
        )


def folded(
    file: str,
    cells: pd.DataFrame,
    targets: Sequence[str],
    into: str,
    kind: str,
    separator: str | None,
    asked: Mapping[str, ReadAs],
) -> pd.DataFrame:
    """The cells (N rows) with the targets in the one column `into`; the index has their rows.

    Raises:
        UserError: a cell is missing, is neither yes nor no, or is no number; they are listed.
    """
    if separator:
        texts = [_parted(text, separator) for text in cells[targets[0]]]
    else:
        faults = Faults(file)
        read = _read_numbers if kind == "numbers" else _read_yes_or_no
        values = np.stack([read(cells[name], asked.get(name), faults) for name in targets], 1)
        faults.report("mend or drop them")
        if kind == "numbers":
            texts = [" ".join(map(repr, row.tolist())) for row in values]
        else:
            texts = [_joined(np.array(targets)[row == 1]) for row in values]
    result = cells.drop(columns=list(targets))
    result[into] = pd.Series(texts, cells.index, dtype=object)
    result.attrs = cells.attrs
    return result


def said(target: pd.Series[Any], kind: str) -> str:
    """What a reader should know of the targets (N,)."""
    if kind == "numbers":
        return "one of the targets"
    none = int((target == _BETWEEN).sum())
    return f"the labels; {counted(none, 'row')} without any" if none else "the labels"


def field(target: pd.Series[Any], kind: str, targets: Sequence[str]) -> Field:
    """What learns the targets (N,) of train: K labels, or K means and deviations.

    Raises:
        UserError: there is a single label, or one of the targets is the same in all rows.
    """
    if kind == "numbers":
        values = numbers(target)
        mean, std = values.mean(0), values.std(0)
        names = targets
    else:
        found = {label for text in target for label in _labels(text)}
        names = list(targets) if len(targets) > 1 else sorted(found)
        values = held(target, names)
        mean, std = values.mean(0), values.std(0)
        if len(names) < 2:
            raise UserError(f"train has {len(names)} label: one is a class, data.kind=class")
    constant = [name for name, spread in zip(names, std, strict=True) if spread == 0]
    if constant:
        raise UserError(f"'{constant[0]}' is the same in all of train: nothing to learn")
    if kind == "labels":
        return Field((len(names),), "float32", labels=tuple(names))
    return Field((len(names),), "float32", tuple(mean.tolist()), tuple(std.tolist()))


def unfolded(target: pd.Series[Any], kind: str, targets: Sequence[str]) -> list[pd.Series[Any]]:
    """A column (N,) for each number, or each of the most frequent labels, as yes and no.

    A target that is neither stands for itself.
    """
    if kind not in KINDS:
        return [target]
    if kind == "numbers":
        values = numbers(target)
        return [
            pd.Series(values[:, column], target.index, name=name)
            for column, name in enumerate(targets)
        ]
    counts = pd.Series([label for text in target for label in _labels(text)]).value_counts()
    columns = []
    for label in counts.index[:_MOST_LOOKED_AT]:
        holds = [label in _labels(text) for text in target]
        name = label if len(targets) > 1 else f"{targets[0]}={label}"
        columns.append(pd.Series(np.where(holds, "yes", "no"), target.index, object, name))
    return columns


def encoded(target: pd.Series[Any], kind: str, field: Field) -> Array:
    """The targets (N,) as numbers, or as ones for the labels that hold: (N, K) in float32.

    Raises:
        UserError: a label never occurs in train.
    """
    if kind == "numbers":
        return numbers(target).astype(np.float32)
    unseen = {label for text in target for label in _labels(text)} - set(field.labels)
    if unseen:
        listed = ", ".join(f"'{label}'" for label in sorted(unseen))
        raise UserError(f"labels {listed} never occur in train; known: {', '.join(field.labels)}")
    return held(target, field.labels).astype(np.float32)


def strata(target: pd.Series[Any], kind: str) -> Array:
    """What a split keeps in proportion, (N,): the rarest label of a row, the first number's tenth.

    A frequent label is in proportion by itself.
    """
    if kind == "numbers":
        first = pd.Series(numbers(target)[:, 0])
        return first.rank(pct=True).mul(10).astype(int).clip(upper=9).astype(str).to_numpy()
    counts = pd.Series([label for text in target for label in _labels(text)]).value_counts()
    rarest = [min(_labels(text), key=lambda label: counts[label], default="") for text in target]
    return np.array(rarest, object).astype(str)


def numbers(target: pd.Series[Any]) -> Array:
    """The numbers (N, K) of texts (N,)."""
    return np.array([text.split() for text in target], np.float64)


def held(target: pd.Series[Any], names: Sequence[str]) -> Array:
    """Ones (N, K) for the labels that hold, of texts (N,)."""
    place = {name: index for index, name in enumerate(names)}
    ones = np.zeros((len(target), len(names)))
    for row, text in enumerate(target):
        ones[row, [place[label] for label in _labels(text)]] = 1
    return ones


def _read_yes_or_no(cells: pd.Series[Any], asked: ReadAs | None, faults: Faults) -> Array:
    """Ones (N,) where a cell says yes; it says yes or no."""
    values = cells.str.strip().str.lower().map(_YES_OR_NO)
    for row in cells.index[values.isna()]:
        faults.add(str(cells.name), [int(row)], f"{shown(cells[row])} is neither yes nor no")
    return values.to_numpy(np.float64)


def _read_numbers(cells: pd.Series[Any], asked: ReadAs | None, faults: Faults) -> Array:
    """The values (N,) of a column, of which none is missing."""
    column, lines = decide(str(cells.name), cells, asked or "number"), cells.index.to_numpy()
    values, missing = features.checked(cells, column, faults, lines)
    faults.add(str(cells.name), lines[np.flatnonzero(missing)], "is missing, and a target")
    return values.astype(np.float64)


def _parted(text: str, separator: str) -> str:
    parts = (part.strip() for part in text.split(separator))
    return _joined(sorted({part for part in parts if part}))


def _joined(labels: Sequence[str] | Array) -> str:
    return _BETWEEN + "".join(f"{label}{_BETWEEN}" for label in labels)


def _labels(text: str) -> list[str]:
    return text.strip(_BETWEEN).split(_BETWEEN) if len(text) > 1 else []

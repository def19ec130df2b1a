"""The target of a table: how its cells are read, which labels are one, what learns it.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from goodfit.contract import Field
from goodfit.data import several
from goodfit.data.base import class_labels
from goodfit.data.columns import LITERAL, MISSING, Column, alike, decide
from goodfit.data.faults import Faults, drop
from goodfit.errors import UserError
from goodfit.schema import ReadAs

# what data.columns may say of it, by its kind
READ_AS: dict[str, tuple[ReadAs, ...]] = {
    "class": ("category",),
    "number": ("number", "decimal_point", "decimal_comma"),
    "ordered": ("category",),
    "labels": ("boolean",),
    "numbers": ("number", "decimal_point", "decimal_comma"),
    "count": ("number", "decimal_point", "decimal_comma"),
}
_FEWEST_TO_TELL = 20  # rows; of fewer, two columns may agree by chance
_MOST_NUMBERS = 20  # that are rather classes than quantities


def decided(cells: pd.Series[Any], kind: str, asked: ReadAs | None) -> Column:
    """How the target (N,) is read: as its kind asks for, whatever its cells look like.

    Raises:
        UserError: cells can be read in two ways, or are no numbers.
    """
    if kind in several.KINDS or "category" in READ_AS[kind]:
        return Column("category", "the target", LITERAL)
    column = decide(str(cells.name), cells, asked or "number")
    unit = f", in {column.unit}" if column.unit else ""
    return replace(column, why=f"the target{unit}")


def check(
    column: str, target: pd.Series[Any], kind: str, order: Sequence[str], faults: Faults
) -> None:
    """Adds the cells of the target (N,) that are of another kind; the index has their rows.

    Raises:
        UserError: an order is missing, or there for labels that have none.
    """
    if order and kind != "ordered":
        raise UserError(f"data.order is for data.kind=ordered, it is {kind}; leave one of them out")
    if kind == "ordered" and (len(order) < 2 or len(set(order)) < len(order)):
        found = ", ".join(sorted(target.unique())[:_MOST_NUMBERS])
        raise UserError(
            f"data.kind=ordered takes data.order, its labels from the lowest to the highest, each "
            f"once; '{column}' has {found}"
        )
    if kind not in ("ordered", "count"):
        return
    for row, value in target.items():
        problem = _problem(value, kind, order)
        if problem:
            faults.add(column, [int(str(row))], problem)


def _problem(value: Any, kind: str, order: Sequence[str]) -> str | None:
    if kind == "ordered" and value not in order and value != "":
        return f"'{value}' is not in data.order"
    # NaN, which is none of both, is a fault already
    if kind == "count" and (value < 0 or value % 1):
        return f"'{value:g}' is no count, a whole number from 0 on"
    return None


def labels(
    file: str, target: pd.Series[Any], alike_labels: Literal["refuse", "join", "keep"]
) -> tuple[pd.Series[Any], list[str]]:
    """The labels (N,), joined where asked for, and what may surprise of them.

    Raises:
        UserError: labels differ in spelling alone, and nobody said what to do with them.
    """
    counts = target.value_counts()
    groups = alike(counts.index)
    if not groups or alike_labels == "keep":
        return target, _said(target)
    if alike_labels == "join":
        common = {text: group[0] for group in groups for text in group[1:]}
        said = [f"'{text}' ({_rows(counts[text])}) becomes '{to}'" for text, to in common.items()]
        target = target.replace(common)
        return target, [*said, *_said(target)]
    first, second, *_ = groups[0]
    raise UserError(
        f"{file}: labels {first!r} ({_rows(counts[first])}) and {second!r} "
        f"({_rows(counts[second])}) differ in spelling alone; write them alike, or choose "
        "data.alike_labels=join or =keep"
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _said(labels: pd.Series[Any]) -> list[str]:
    """What may surprise of labels (N,) that are taken as they are written."""
    counts = labels.value_counts()
    said = [
        f"'{text}' ({_rows(count)}) is a label as any text, though it may mean a missing one"
        for text, count in counts.items()
        if str(text).lower() in MISSING
    ]
    numbers = pd.to_numeric(pd.Series(counts.index), errors="coerce")
    if len(counts) > _MOST_NUMBERS and numbers.notna().all():
        said.append(f"its {len(counts)} labels are numbers, which data.kind=number would predict")
    return said


def field(target: pd.Series[Any], kind: str, order: Sequence[str], targets: Sequence[str]) -> Field:
    """What learns the target (N,) of train: its labels, or its mean and deviation.

    Raises:
        UserError: it is the same in all rows, or a label of `order` is in none.
    """
    if kind in several.KINDS:
        return several.field(target, kind, targets)
    if kind == "ordered":
        missing = [label for label in order if not (target == label).any()]
        if missing:
            raise UserError(
                f"data.order names {', '.join(missing)}, of which train has no row; leave out what "
                "never occurs, and merge what is rare with its neighbour"
            )
        return Field((), "int64", labels=tuple(order))
    if kind == "class":
        return Field((), "int64", labels=class_labels(target.to_frame(), str(target.name)))
    if target.nunique() == 1:
        raise UserError(
            f"column '{target.name}' is {target.iloc[0]:g} in all of train: nothing to learn"
        )
    return Field((), "float32", (float(target.mean()),), (float(target.std(ddof=0)),))


def with_a_leak(
    column: Column, values: pd.Series[Any], target: pd.Series[Any], drops: bool
) -> Column:
    """The column, which says so where its values (N,) are the target by another name.

    `drops` is whether an option may leave it out.
    """
    if not _tells(values, target):
        return column
    why = f"{column.why}; alone it tells '{target.name}' in every row"
    answer = drop(str(values.name)) if drops else "the score is not to be had in use"
    return replace(column, why=f"{why}: if nobody knows it before, {answer}")


def _tells(values: pd.Series[Any], target: pd.Series[Any]) -> bool:
    """Whether a column (N,) is the target (N,) by another name, or in another unit."""
    if len(values) < _FEWEST_TO_TELL or values.isna().any():
        return False
    if pd.api.types.is_float_dtype(target):
        if (
            not pd.api.types.is_float_dtype(values)
            or values.nunique() == 1
            or target.nunique() == 1
        ):
            return False
        return bool(abs(np.corrcoef(values, target)[0, 1]) > 1 - 1e-9)
    pairs = pd.DataFrame({"value": values, "target": target})
    # most columns show in a few rows that they are not
    for some in (pairs.head(1000), pairs):
        different = some.drop_duplicates()
        if not (different["value"].is_unique and different["target"].is_unique):
            return False
    return len(different) > 1

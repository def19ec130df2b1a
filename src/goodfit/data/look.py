"""A look at somebody's table before anything is made of it: what each column is, and what may be
predicted.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import columns, dates, plain, skew
from goodfit.data.base import Array
from goodfit.data.columns import Column
from goodfit.data.faults import named, one_line
from goodfit.data.mixed import Mixed
from goodfit.data.numbers import Notation, notation
from goodfit.data.table import Table
from goodfit.data.target import READ_AS
from goodfit.data.texts import Texts
from goodfit.errors import UserError
from goodfit.records import Finding
from goodfit.schema import Equal

_FEW_NUMBERS = 20  # different whole numbers that may be classes
_MOST_CLASSES = 1000
_WORDS_OF_A_TEXT = 3  # on average; names of people and of places have two
_EXAMPLE = 24  # letters
_MOSTLY = 0.8  # the share of a class above which task=classification refuses accuracy
_MOSTLY_MISSING = 0.5
_SHARE = {
    "together": "equal rows share a split; equal_rows=apart: they are cases that happen to agree",
    "apart": "equal_rows=apart splits them like others",
}


class Seen(NamedTuple):
    """One column of the table, for a reader; `read_as` is None where it is left out."""

    name: str
    read_as: str | None
    why: str
    missing: float
    distinct: int
    example: str


@dataclass(frozen=True)
class Kind:
    """What is predicted, and why; `most` is the share of the most frequent class."""

    kind: str
    why: str
    most: float | None = None


def kind_of(target: pd.Series[Any], asked: str | None) -> Kind:
    """Whether texts (N,) of the target are classes or a number.

    Raises:
        UserError: they may be either, are dates, or name rows rather than classes.
    """
    name = target.name
    if asked not in (None, "class"):
        return Kind(asked, f"kind={asked}, for '{name}'")
    if asked == "class":
        return classes(target, asked)
    counts = target[target != ""].value_counts()
    present = target[~target.str.lower().isin(columns.MISSING)]
    numbers = present.value_counts()
    _refuse_dates(str(name), numbers)
    notation = _notation(present) if len(numbers) > 2 else None
    # 1 and 1.0 are one number
    values = {notation.value(text) for text in numbers.index} if notation else set()
    if len(values) <= 2:
        if len(counts) > max(2, min(_MOST_CLASSES, len(present) / 2)):
            raise UserError(
                f"target '{name}' has {len(counts):,} different texts in {len(present):,} rows; "
                "classes repeat. Choose another target, or kind=number with a unit or notation "
                "that is read"
            )
        return classes(target, asked)
    whole = all(value % 1 == 0 for value in values)
    if whole and len(values) <= _FEW_NUMBERS:
        raise UserError(
            f"target '{name}' has {len(values)} different whole numbers, {_listed(numbers)}: "
            "classes, or a quantity? Choose kind=class or kind=number"
        )
    return Kind("number", f"'{name}' has {len(values):,} different numbers")


def _refuse_dates(name: str, counts: pd.Series[Any]) -> None:
    """Raises UserError where texts of the target, with how often they occur, are dates."""
    texts = list(map(str, counts.index))
    compact = dates.compact(texts) if texts else None
    try:
        are_dates = compact or dates.order(name, Counter(dict(zip(texts, counts, strict=True))))
    except UserError:  # of day and month in either order
        are_dates = "in one order or the other"
    if are_dates:
        number = ", kind=number if they are quantities that look so" if compact else ""
        raise UserError(
            f"target '{name}' has {len(counts):,} different dates, {_listed(counts)}, which "
            f"nothing predicts as dates: choose kind=class if they are labels{number}, or make a "
            "number of them in the file, such as the days until then"
        )


def classes(target: pd.Series[Any], asked: str | None) -> Kind:
    """Classes, counted: texts (N,) of the file, or as they were read, where some may be joined."""
    # a token such as NA is one, too, and said to be
    counts = target[target != ""].value_counts()
    said = f"'{target.name}' has {len(counts)} different values: {_listed(counts)}"
    most = float(counts.max() / counts.sum()) if len(counts) else None
    return Kind("class", f"kind=class, and {said}" if asked else said, most)


def _listed(counts: pd.Series[Any]) -> str:
    """The most frequent texts, with how often they occur."""
    listed = ", ".join(
        f"{one_line(str(text))} ({count:,})" for text, count in counts.head(4).items()
    )
    return f"{listed}, ..." if len(counts) > 4 else listed


def _notation(present: pd.Series[Any]) -> Notation | None:
    """How all of these texts (N,) are numbers, None where some are none.

    Raises:
        UserError: they can be read in two ways.
    """
    try:
        found = notation(str(present.name), plain.counted(present).times())
    except UserError as error:
        raise UserError(f"{error}; or kind=class, where these are labels") from None
    are_numbers = found and all(np.isfinite(found.value(text)) for text in present.unique())
    return found if are_numbers else None


def kind_of_several(asked: str | None, targets: Sequence[str]) -> Kind:
    """What several columns are, which must be said.

    Raises:
        UserError: it is not.
    """
    if asked is None:
        raise UserError(
            f"target={list(targets)}: choose kind=labels, of columns of yes and no, or kind=numbers"
        )
    return Kind(asked, f"kind={asked}, for {', '.join(targets)}")


def choice(options: Mapping[str, Any]) -> str:
    """Of conf/data, by the options that are given: whether texts alone are read, or beside others.

    With a column of texts, or of images, among the others it is `mixed`.
    """
    if "text" in options:
        return "texts"
    named = options.get("columns")
    kinds = set(named.values()) if isinstance(named, Mapping) else set()
    return "mixed" if kinds & {"text", "image"} else "table"


def column_of_images(options: Mapping[str, Any]) -> str:
    """The column whose images are looked into, by the options that are given; empty for none."""
    named = options.get("columns") or {}
    return next((name for name, how in named.items() if how == "image"), "")


def free_texts(cells: pd.DataFrame, others: Collection[str]) -> list[str]:
    """Columns of a table (N rows) that are read by their words where nobody says another reading.

    Their texts have several words, and are too many for categories. Not looked at are `others`.

    Raises:
        UserError: cells can be read in two ways.
    """
    found = []
    for name in map(str, cells.columns.drop(list(others), errors="ignore")):
        present = cells[name][cells[name] != ""]
        if present.empty or present.map(lambda text: len(text.split())).mean() < _WORDS_OF_A_TEXT:
            continue
        column = columns.decide(name, cells[name])
        many = column.kind == "category" and present.nunique() > columns.MOST_CATEGORIES
        if many or (column.kind is None and columns.are_different(plain.counted(cells[name]))):
            found.append(name)
    return found


def data_set(chosen: str, options: dict[str, Any], kind: Kind) -> Table:
    """The data set of a choice, for what is predicted."""
    made: dict[str, type[Table]] = {"table": Table, "texts": Texts, "mixed": Mixed}
    return made[chosen](**options | {"kind": kind.kind})


def seen(table: Table, cells: pd.DataFrame, spec: DataSpec) -> list[Seen]:
    """The columns of the table in the order of the file."""
    read = {column.name: column for column in table.columns_read(spec)}
    rows = []
    for name in map(str, cells):
        texts = cells[name]
        column = read[name]
        facts = spec.facts["columns"].get(name, {})
        as_read = Column.of_facts({"kind": None, "why": "", **facts})
        by_letters = column.read_as in ("text", "image")
        if by_letters or "category" in READ_AS.get(column.read_as or "", ()):
            named = table.missing.na_values.get(name, ())
            as_read = Column("category", "", columns.LITERAL, na_values=named)
        missing = columns.missing_in(texts, as_read)
        present = texts[~missing]
        rows.append(
            Seen(
                name=name,
                read_as=column.read_as,
                why=column.why,
                missing=float(missing.mean()),
                distinct=int(present.nunique()),
                example=example(present),
            )
        )
    return rows


def example(present: pd.Series[Any]) -> str:
    """The first of some cells (N,), on one line, and not all of a long one."""
    text = one_line(str(present.iloc[0])) if len(present) else ""
    return text if len(text) <= _EXAMPLE else f"{text[: _EXAMPLE - 3]}..."


def flatters(kind: Kind) -> bool:
    """Whether always answering the frequent class has a high accuracy."""
    return kind.most is not None and kind.most > _MOSTLY


def warnings(
    kind: Kind,
    target: pd.Series[Any],
    splits: Array,
    columns_seen: list[Seen],
    copies: int,
    equal_rows: Equal,
) -> list[str]:
    """What a reader should know before a score is believed; `target` (N,) as it was read.

    So many rows are `copies` of others.
    """
    said = skew.noted(str(target.name), target, splits) if kind.kind == "number" else []
    if flatters(kind):
        share = target.value_counts(normalize=True)
        if len(share) == 2:
            said.append(
                f"'{share.index[-1]}' is {share.iloc[-1]:.1%} of the rows: always answering "
                f"'{share.index[0]}' has an accuracy of {share.iloc[0]:.1%}"
            )
    if copies:
        repeat = "row repeats" if copies == 1 else "rows repeat"
        said.append(f"{copies:,} {repeat} the inputs of another one; {_SHARE[equal_rows]}")
    cells = [column.name for column in columns_seen if _is_cell(column.name)]
    if 2 * len(cells) > len(columns_seen):
        said.append(
            f"names of columns look like cells ('{cells[0]}'): the first row is read as the "
            "header; if it is none, write one above it"
        )
    for column in columns_seen:
        if column.read_as and column.missing > _MOSTLY_MISSING:
            said.append(f"'{column.name}' is missing in {column.missing:.0%} of the rows")
    return said


def _is_cell(name: str) -> bool:
    """Whether a column's name is a number, and no year, of which a wide table has many."""
    value = Notation().value(name)
    return not np.isnan(value) and not (1900 <= value <= 2100 and value.is_integer())


def times(table: Table, columns_seen: list[Seen], found: Sequence[Finding]) -> list[str]:
    """Dates by which rows could be split; of those that a finding is about, no word more."""
    if table.splitting.time or table.splitting.assigned:
        return []
    answers = {finding.answer for finding in found}
    return [
        f"'{column.name}' holds dates: time={column.name} tests on the latest rows"
        for column in columns_seen
        if column.read_as == "date" and named(column.name, "time") not in answers
    ]

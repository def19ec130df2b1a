"""What each column of a table is read as, and why: decided from its cells, or by the user.

Letters: N rows of the table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from goodfit.data import dates, numbers, plain, unread
from goodfit.data.faults import override
from goodfit.data.numbers import POINT, Notation
from goodfit.data.plain import Counted
from goodfit.data.sheets import ERRORS
from goodfit.schema import ReadAs

Kind = Literal["number", "category", "boolean", "date"]
Cells = pd.Series  # of texts, without spaces around them

# what stands for "not known" where numbers or dates are expected, compared in small letters
MISSING = frozenset({"", "na", "n/a", "<na>", "nan", "null", "none", "?", "-", "--"}).union(
    error.lower() for error in ERRORS
)
# among texts, what pandas reads as missing, too, letter by letter: "none" and "-" may be answers
MISSING_TEXTS = frozenset(
    {"", "NA", "N/A", "n/a", "<NA>", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None"}
).union(ERRORS)
# the notation of texts in which "NA" may be Namibia, because the user says that they are texts
LITERAL = "literal"
BOOLEANS = {"true": 1.0, "false": 0.0}
_BOOLEAN_DIGITS = ("1", "0", "1.0", "0.0")  # of programs, among the others
# a text column with more different values is a name or a text, not a category
MOST_CATEGORIES = 100
# of fewer rows, all different says little
_FEWEST_FOR_IDENTIFIER = 20
# as long as these, numbers that never repeat are rather customers than measurements
_DIGITS_OF_IDENTIFIER = 5
# a copied row repeats its number, which numbers rows all the same
_MOSTLY_DIFFERENT = 0.98
_NAMED_ID = re.compile(r"(?i:id|uuid|guid)")
_NAMED_LIKE_ID = re.compile(r"(?i:.*[ _.-](?:id|uuid|guid))|.*[a-z](?:Id|ID)")
_NAMED_CODE = re.compile(
    r"(?i:(?:.*[ _.-])?(?:zip|plz|(?:zip|post|postal)[ _-]?code|phone|mobile|fax|isbn|ean|sku))"
)
# pandas's name for a column of a file that has none
_UNNAMED = re.compile(r"Unnamed: \d+")


@dataclass(frozen=True)
class Column:
    """How a column is read: as what, in which notation, in which unit, and for what reason.

    Without a kind it is left out. `missing` says whether a cell of the file is, `thousands_alone`
    that points set apart thousands, and no cell has decimals. `na_values` stand for a missing cell
    beside the usual tokens, as the user says.
    """

    kind: Kind | None
    why: str
    notation: str = ""
    unit: str = ""
    missing: bool = False
    thousands_alone: bool = False
    na_values: tuple[str, ...] = ()

    def to_facts(self) -> dict[str, Any]:
        """As spec.json holds it: without `na_values` where there are none."""
        facts = asdict(self)
        return facts if self.na_values else {key: facts[key] for key in facts if key != "na_values"}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Column:
        """From what spec.json holds, which may hold more, and of an older version less."""
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        return cls(**known | {"na_values": tuple(facts.get("na_values", ()))})

    @classmethod
    def of_values(cls, values: pd.Series[Any]) -> Column:
        """Of typed values (N,), as a data frame has them: their type says all."""
        missing = bool(values.isna().any())
        if pd.api.types.is_bool_dtype(values):
            return cls("boolean", "of that type", missing=missing)
        if pd.api.types.is_numeric_dtype(values):
            return cls("number", "of that type", "decimal_point", missing=missing)
        if pd.api.types.is_datetime64_any_dtype(values):
            return cls("date", "of that type", "year_first", missing=missing)
        return cls("category", "of that type", missing=missing)


def decide(
    name: str, cells: Cells, asked: ReadAs | None = None, na_values: Sequence[str] = ()
) -> Column:
    """What the column `name` is read as, from all of its `cells` (N,), or as `asked`.

    `na_values` are missing cells, too.

    Raises:
        UserError: cells can be read in two ways, or not as what was asked for.
    """
    # what each different cell is, however often it is there
    counted = plain.counted(cells)
    unknown = MISSING | _small(na_values)
    may_mean_missing = counted.texts.str.lower().isin(unknown).to_numpy(bool)
    present = counted.where(~may_mean_missing)
    known = counted.where(~counted.texts.isin(na_values).to_numpy(bool)) if na_values else counted
    column = _as_asked(name, present, asked) if asked else _found(name, known, present)
    column = replace(column, na_values=tuple(na_values))
    if column.kind is None:
        return column
    if len(cells) > 1 and len(counted.texts) == 1:
        column = replace(column, why=f"{column.why}; every cell is the same")
    if column.kind == "number" and column.notation == "decimal_comma":
        with_comma = present.texts.str.contains(",", regex=False)
        column = replace(column, thousands_alone=not with_comma.any())
    is_missing = missing_in(counted.texts, column).to_numpy(bool)
    absent, others = counted.where(is_missing), counted.where(may_mean_missing & ~is_missing)
    why = f"{column.why}{_said_of_missing(name, counted, absent, others, column)}"
    return replace(column, why=why, missing=bool(is_missing.any()))


def _said_of_missing(
    name: str, counted: Counted, absent: Counted, others: Counted, column: Column
) -> str:
    """How many cells are missing, by which tokens, and which `others` may mean that."""
    said = ""
    if len(absent.texts):
        tokens = ", ".join(map(repr, absent.texts))
        verb = "is" if absent.cells == 1 else "are"
        said = f"; {absent.cells} of {counted.cells} cells {verb} missing ({tokens})"
    for text in column.na_values:
        if not missing_in(counted.texts, replace(column, na_values=(text,)), usual=False).any():
            said += f"; none of its cells is {text!r}, which data.na_values names"
    if column.kind != "category" or column.notation == LITERAL:
        return said
    if (~absent.texts.isin(["", *column.na_values])).any():
        said += f"; to take all of them as texts: {override(name, 'category')}"
    for token, count in others.times().most_common():
        said += f"; {token!r} ({count} cells) is a category, though it may mean a missing one"
    return said


def alike(texts: Iterable[str]) -> list[list[str]]:
    """Groups of texts (N,) that look alike, in their order.

    They differ in capitals, in spaces within or letters that nobody sees, or as "1", "1.0" and
    "True".
    """
    groups: dict[Any, list[str]] = {}
    for text in texts:
        number = BOOLEANS.get(text.lower(), pd.to_numeric(text, errors="coerce"))
        meaning = _visible(text) if np.isnan(number) else float(number)
        groups.setdefault(meaning, []).append(text)
    return [group for group in groups.values() if len(group) > 1]


def _visible(text: str) -> str:
    """A text in small letters, each written in one way, without those that nobody sees."""
    letters = unicodedata.normalize("NFKC", text)
    seen = "".join(letter for letter in letters if unicodedata.category(letter) != "Cf")
    return " ".join(seen.casefold().split())


def _found(name: str, cells: Counted, present: Counted) -> Column:
    """What the cells themselves say, without a word about missing ones."""
    column = _left_out(name, present) or _special(name, present)
    if column:
        return column
    notation = _plain(present)
    if notation is None:
        times = present.times()
        notation = numbers.notation(name, times)
    if notation is None:
        unread.refuse(name, times)
        return _text(name, cells)
    numbered = _numbered(name, present)
    said = _said(notation, present)
    return numbered or Column("number", said, notation.decimal, notation.unit)


def is_missing(value: Any, column: Column) -> bool:
    """Whether a value of any type says that there is none, in a column that is read so."""
    if not isinstance(value, str):
        return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
    text = value.strip()
    if (text if column.kind == "category" else text.lower()) in _tokens(column):
        return True
    return bool(column.na_values) and reader(column)(text) in na_numbers(column)


def missing_in(cells: Cells, column: Column, *, usual: bool = True) -> pd.Series[bool]:
    """Which of the cells (N,) are missing, as `is_missing` says of each; without the `usual` ones.

    Of numbers and dates `na_values` are meant by their value: -999 is -999.0, too.
    """
    if column.kind == "category":
        return cells.isin(_tokens(column) if usual else column.na_values)
    named = na_numbers(column)
    if not named:
        return cells.str.lower().isin(_tokens(column) if usual else _small(column.na_values))
    read = reader(column)
    equal = [cell for cell in cells.unique() if read(cell) in named]
    return cells.isin(equal) | (usual & cells.str.lower().isin(_tokens(column)))


def na_numbers(column: Column) -> list[Any]:
    """Which numbers, or moments, of a column that is no texts stand for a missing cell."""
    if not column.na_values:
        return []
    values = map(reader(column), column.na_values)
    return [value for value in values if not pd.isna(value)]


def reader(column: Column) -> Callable[[str], Any]:
    """What reads a text of a column of numbers or dates: a float or datetime64, NaN or NaT."""
    if column.kind == "date":
        order = cast(dates.Order, column.notation)
        return lambda text: dates.moment(text, order)
    notation = Notation(cast(numbers.Decimal, column.notation or POINT), column.unit)
    # the number alone, where the column has a unit
    bare = notation._replace(unit="")

    def read(text: str) -> float:
        if column.kind == "boolean" and text.lower() in BOOLEANS:
            return BOOLEANS[text.lower()]
        number = notation.value(text)
        return bare.value(text) if np.isnan(number) else number

    return read


def _tokens(column: Column) -> frozenset[str]:
    """What a missing cell may hold."""
    if column.kind != "category":
        return MISSING | _small(column.na_values)
    usual = frozenset({""}) if column.notation == LITERAL else MISSING_TEXTS
    return usual | set(column.na_values)


def _small(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(text.lower() for text in texts)


def expectation(column: Column) -> str:
    """What a cell of the column would be, for a message: "a finite number in kg"."""
    if column.kind == "date":
        if column.notation == "year_first":
            return "a date such as 2024-01-31 or 31 January 2024"
        return f"a date ({column.notation.replace('_', ' ')})"
    if column.kind == "boolean":
        return "true or false"
    unit = f" in {column.unit}" if column.unit else ""
    comma = " with a decimal comma" if column.notation == "decimal_comma" else ""
    return f"a finite number{unit}{comma}"


def _as_asked(name: str, present: Counted, asked: ReadAs) -> Column:
    why = override(name, asked)
    if asked == "category":
        return Column("category", why, LITERAL)
    if asked == "boolean":
        return Column("boolean", why)
    if asked in ("date", "day_first", "month_first"):
        order = dates.order(name, present.times()) if asked == "date" else asked
        return Column("date", why, order or "year_first")
    decimal = asked if asked in ("decimal_point", "decimal_comma") else None
    notation = None if decimal else _plain(present)
    if notation is None:
        times = present.times()
        notation = numbers.notation(name, times, decimal) or Notation(decimal or POINT)
    return Column("number", why, notation.decimal, notation.unit)


def _left_out(name: str, present: Counted) -> Column | None:
    """A column that tells nothing about other rows, or nothing at all."""
    unnamed = not name or _UNNAMED.fullmatch(name)
    if present.texts.empty:
        end = "a separator at the end of each line, without name and content"
        return Column(None, end if unnamed else "every cell is missing")
    if unnamed:
        return Column(None, "it has no name, as the row numbers of a data frame")
    if _NAMED_ID.fullmatch(name) or (_NAMED_LIKE_ID.fullmatch(name) and present.all_differ):
        how = "number" if _plain(present) else "category"
        return Column(None, f"by its name it identifies rows{_take(name, how)}")
    return None


def _special(name: str, present: Counted) -> Column | None:
    """What looks like numbers or texts, and is neither: booleans, codes, dates."""
    booleans = _booleans(present)
    if booleans:
        return booleans
    compact = dates.compact(present.texts)
    if not compact and numbers.looks_like_code(present):
        text = _text(name, present)
        why = "digits that are codes: zeros in front, a phone number, or more than 15 of them"
        return text if text.kind is None else Column(text.kind, why)

    order = None
    if compact or not _plain(present):
        order = dates.order(name, present.times())
    if order:
        form = f"dates as {compact}" if compact else f"dates, {order.replace('_', ' ')}"
        said = [form, *dates.conversions(present.texts, order)]
        return Column("date", "; ".join(said), order)
    code = _NAMED_CODE.fullmatch(name) and not are_different(present)
    named = code or _NAMED_LIKE_ID.fullmatch(name)
    if named and present.texts.str.fullmatch(r"\d+").all():
        return Column("category", "numbers that identify something, by the column's name")
    return None


def _booleans(present: Counted) -> Column | None:
    """A column of true and false."""
    first = present.texts.iloc[0]
    if first.lower() not in BOOLEANS and first not in _BOOLEAN_DIGITS:
        return None
    booleans = present.texts.str.lower().isin(BOOLEANS)
    digits = present.texts.isin(_BOOLEAN_DIGITS)
    if not booleans.any() or not (booleans | digits).all():
        return None
    cells = present.where(digits.to_numpy(bool)).cells
    also = f", of which {cells} cells are 1 or 0" if digits.any() else ""
    return Column("boolean", f"true or false{also}")


def _plain(present: Counted) -> Notation | None:
    """The notation of a column of which every cell is a number as programs write it."""
    return Notation() if present.are_finite else None


def _said(notation: Notation, present: Counted) -> str:
    parts = ["numbers"]
    if notation.decimal == "decimal_comma":
        parts.append("with a decimal comma")
    if notation.unit:
        parts.append(f"in {notation.unit}")
        bare = notation._replace(unit="")
        times = present.times().items()
        without = sum(count for cell, count in times if not np.isnan(bare.value(cell)))
        if without:
            parts.append(f"({without} of {present.cells} cells without it)")
    if present.texts.str.startswith("(").any():
        parts.append("with those in brackets below zero")
    if present.texts.str.endswith("-").any():
        parts.append("with a minus behind those below zero")
    return " ".join(parts)


def _numbered(name: str, present: Counted) -> Column | None:
    """A running number, or codes of digits that never repeat; None for what may be a quantity."""
    if not are_different(present):
        return None
    whole = present.texts.str.removesuffix(".0")  # of pandas, where a cell is missing
    if not whole.str.fullmatch(r"\d+").all():
        return None
    values, lengths, different = whole.astype(float), whole.str.len(), whole.nunique()
    span = values.max() - values.min() + 1
    # of quantities in so narrow a span, some would be equal
    if span < 2 * different:
        gaps = "" if span == different == present.cells else ", with gaps or repetitions"
        return Column(None, f"it numbers the rows{gaps}{_take(name)}")
    # of salaries, hardly one is another's, too; of numbers of customers none
    every = present.all_differ and different == present.cells
    if every and lengths.nunique() == 1 and lengths.iloc[0] >= _DIGITS_OF_IDENTIFIER:
        return Column(None, f"every value differs, all with as many digits{_take(name)}")
    return None


def are_different(cells: Counted) -> bool:
    """Whether texts name rows: enough of them, and hardly one twice."""
    enough = cells.cells >= _FEWEST_FOR_IDENTIFIER
    return enough and len(cells.texts) >= _MOSTLY_DIFFERENT * cells.cells


def _text(name: str, cells: Counted) -> Column:
    if are_different(cells):
        differ = f"{len(cells.texts)} of {cells.cells} texts differ"
        every = "every text differs" if cells.all_differ else differ
        is_code = numbers.looks_like_code(cells)
        # numbers whose notation is left open, as where all have a minus behind
        read = [Notation().value(text) for text in cells.texts[:MOST_CATEGORIES]]
        if np.isfinite(read).mean() > 0.5 and not is_code:
            return Column(None, f"{every}{_take(name)}")
        few = is_code or len(cells.texts) <= MOST_CATEGORIES
        return Column(None, f"{every}{_take(name, 'category') if few else ''}")
    frequent_first = [text for text, _ in cells.times().most_common()]
    pairs = [f"'{first}' and '{second}'" for first, second, *_ in alike(frequent_first)]
    note = f"; {', '.join(pairs)} are two categories" if pairs else ""
    return Column("category", f"texts{note}")


def _take(name: str, how: str = "number") -> str:
    return f"; to take it: {override(name, how)}"

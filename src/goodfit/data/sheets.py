"""The sheets of workbooks and the tables of databases, as rows of Python's values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

from goodfit.errors import UserError, nearest
from goodfit.system.extras import needs

DATABASES = (".sqlite", ".sqlite3", ".db")
WORKBOOKS = (".xlsx", ".xlsm")
# what a spreadsheet has in the place of a result that it could not compute
ERRORS = frozenset(
    {"#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"}
)
TO_COMPUTE = "open and save the file in a spreadsheet program"


@dataclass(frozen=True)
class Uncomputed:
    """A formula of a workbook, in a cell such as B3, of which no program has stored the result."""

    formula: str
    sheet: str
    cell: str

    def __str__(self) -> str:
        return self.formula

    def __repr__(self) -> str:
        return f"{self.formula!r} (cell {self.cell}, never computed)"


class Sheet(NamedTuple):
    """Names of columns, rows of Python's values below, and the number of the first row."""

    names: list[str]
    rows: list[Sequence[Any]]
    first_row: int


def read(path: Path, sheet: str | None, option: str) -> Sheet:
    """What a workbook or a database holds; `option` is how a user names a sheet or a table.

    Raises:
        UserError: it cannot be read, or it is not clear which sheet or table is meant.
    """
    ending = path.suffix.lower()
    return (_database if ending in DATABASES else _workbook)(path, sheet, option)


def _database(path: Path, sheet: str | None, option: str) -> Sheet:
    address = f"{path.absolute().as_uri()}?immutable=1"  # writes nothing beside it
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            tables = "select name from sqlite_master where type in ('table', 'view')"
            named = [row[0] for row in database.execute(f"{tables} and name not like 'sqlite_%'")]
            chosen = _chosen(path.name, "table", named, sheet, option)
            quoted = chosen.replace('"', '""')
            cursor = database.execute(f'select * from "{quoted}"')  # noqa: S608 - of the list
            return Sheet([item[0] for item in cursor.description], list(cursor), 1)
    except sqlite3.Error as error:
        raise UserError(f"{path.name} cannot be read as a SQLite database: {error}") from None


def _workbook(path: Path, sheet: str | None, option: str) -> Sheet:
    """The first row of a sheet names the columns."""
    with needs("excel"):
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    try:
        # values, and beside them the formulas that they were computed by
        books = [load_workbook(path, read_only=True, data_only=only) for only in (True, False)]
    except (InvalidFileException, BadZipFile, KeyError, OSError) as error:
        raise UserError(f"{path.name} cannot be read as a workbook: {error}") from None
    try:
        chosen = _chosen(path.name, "sheet", books[0].sheetnames, sheet, option)
        # of the values the whole cells, which tell an empty text from nothing
        rows = books[0][chosen].iter_rows()
        formulas = books[1][chosen].iter_rows(values_only=True)
        names, below = _header(path.name, _computed(chosen, rows, formulas))
        return Sheet(names, list(below), 2)
    finally:
        for book in books:
            book.close()


def _header(file: str, rows: Iterator[Sequence[Any]]) -> tuple[list[str], Iterator[Sequence[Any]]]:
    first = next(rows, None)
    if first is None:
        raise UserError(f"{file} is empty")
    for name in first:
        if isinstance(name, Uncomputed):
            raise UserError(
                f"{file}, sheet '{name.sheet}', cell {name.cell}: '{name}' is to name a column, "
                f"and was never computed; {TO_COMPUTE}"
            )
    return [as_text(name) for name in first], rows


def _computed(
    sheet: str, rows: Iterator[Sequence[Any]], formulas: Iterator[Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    """The values of a sheet's rows; a formula without a result would else be a missing cell."""
    for cells_of_row, written in zip(rows, formulas, strict=True):
        values = [cell.value for cell in cells_of_row]
        for place, formula in enumerate(written):
            if values[place] is None and formula is not None:
                cell = cells_of_row[place]
                # the type of a result that is an empty text
                is_text = cell.data_type == "str"
                formula = str(getattr(formula, "text", formula))  # of a whole range, an object
                values[place] = None if is_text else Uncomputed(formula, sheet, cell.coordinate)
        yield values


def _chosen(file: str, what: str, named: list[str], asked: str | None, option: str) -> str:
    """The sheet or table that was asked for, or the only one; `option` is how one is named.

    Raises:
        UserError: there is none of that name, or several and nobody chose.
    """
    if asked is None and len(named) == 1:
        return named[0]
    listed = ", ".join(map(repr, named)) or "none"
    if asked is None:
        raise UserError(f"{file} has several {what}s: {listed}; choose one: {option}...")
    if asked not in named:
        raise UserError(f"{file} has no {what} '{asked}', but {listed}.{nearest(asked, named)}")
    return asked


def as_text(value: Any) -> str:
    """A value as a CSV file would have it: 0.1 is "0.1", nothing is the empty text."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, date):
        return value.isoformat().replace("T", " ")
    return str(value)

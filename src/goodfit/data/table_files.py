"""The cells of any file of rows with named columns, as texts: CSV, Parquet, Arrow, JSON lines,
Excel, SQLite.

What a typed file says of a value is written so that it is read as the same value: 0.1 is "0.1", a
moment has its zone, nothing is the empty text.

Letters: N rows.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goodfit.data import delimited, row_files
from goodfit.errors import UserError, nearest
from goodfit.system.extras import needs

_DATABASES = (".sqlite", ".sqlite3", ".db")
_WORKBOOKS = (".xlsx", ".xlsm")
_ARROW = (".arrow", ".feather", ".ipc")
_OLD_WORKBOOKS = (".xls", ".ods", ".numbers")
_PART = 65_536  # rows of JSON that are read at once


def cells(path: Path, *, sheet: str | None = None, drop: Collection[str] = ()) -> pd.DataFrame:
    """All cells (N rows) as text; row k of the file has the index k - `attrs["first_row"]`.

    Other attributes are those of `delimited.cells`. `sheet` names the sheet of a workbook or the
    table of a database; columns that `drop` names may hold what is no cell.

    Raises:
        UserError: the file is not what its name says, or a column holds lists, objects or bytes.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in _OLD_WORKBOOKS:
        raise UserError(f"{path.name}: {ending} is not read; save it as .xlsx or as CSV in UTF-8")
    if sheet is not None and ending not in _WORKBOOKS + _DATABASES:
        raise UserError(f"data.sheet={sheet}: {path.name} has no sheets; leave it out")
    if ending in _WORKBOOKS:
        return _named(path.name, _workbook(path, sheet), 2)
    if ending in _DATABASES:
        return _named(path.name, _database(path, sheet), 1)
    if ending in _ARROW or row_files.ENDINGS.get(ending) == "parquet":
        return _named(path.name, _columnar(path, ending, drop), 1)
    if row_files.ENDINGS.get(ending) == "jsonl":
        return _named(path.name, _json_lines(path, drop), 1)
    return delimited.cells(path)


def _named(file: str, table: pd.DataFrame, first_row: int) -> pd.DataFrame:
    """The table without blank rows and spaces around names and cells, as `delimited.cells` does."""
    delimited.check_header(file, [str(name) for name in table.columns])
    table.columns = [
        delimited.normal(str(name)) if name else f"Unnamed: {place}"
        for place, name in enumerate(table.columns)
    ]
    spaced = {}
    for name in table:
        stripped = table[name].str.strip()
        spaced[name] = int((stripped != table[name]).sum())
        table[name] = stripped
    table = table.loc[(table != "").any(axis=1)]
    table.attrs = {"separator": "comma", "spaced": spaced, "first_row": first_row}
    return table


def _columnar(path: Path, ending: str, drop: Collection[str]) -> pd.DataFrame:
    """Of Parquet, or Arrow's own file or stream."""
    try:
        table = pq.read_table(path) if ending == ".parquet" else _arrow(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path.name} cannot be read as {ending[1:]}: {reason}") from None
    # what pandas keeps of its row names
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    delimited.check_header(path.name, names)
    texts = {name: _texts(path.name, name, table[name]) for name in names if name not in drop}
    blank = pa.array([""] * len(table))
    taken = pa.table({name: texts.get(name, blank) for name in names})
    result: pd.DataFrame = taken.to_pandas()
    return result


def _arrow(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


def _texts(file: str, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column (N,) of any type as texts.

    Raises:
        UserError: its values are no cells.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if pa.types.is_nested(kind) or pa.types.is_duration(kind) or is_bytes:
        raise UserError(_no_cell(file, name, f"values of type {kind}"))
    return pc.fill_null(pc.cast(column, pa.string()), "")


def _no_cell(file: str, name: str, what: str) -> str:
    return (
        f"{file}: column '{name}' holds {what}, which are no cells; make numbers or texts of them, "
        f"or leave it out (data.drop=[{name}])"
    )


def _json_lines(path: Path, drop: Collection[str]) -> pd.DataFrame:
    """A key that a line lacks is a missing cell; columns stand in the order in which they come."""
    parts, numbers = [], []
    with path.open("rb") as stream:
        for part in row_files.parts(path.name, stream, "jsonl", _PART):
            kept = part.rows.drop(columns=list(drop), errors="ignore")
            for name in kept:
                kept[name] = _as_texts(path.name, str(name), kept[name])
            parts.append(kept)
            numbers += part.numbers
    table = pd.concat(parts).fillna("").astype(str)
    table.index = pd.Index([number - 1 for number in numbers])
    for name in drop:
        table[name] = ""
    return table


def _as_texts(file: str, name: str, values: Sequence[Any] | pd.Series[Any]) -> list[str]:
    """Python's values (N,) as texts.

    Raises:
        UserError: one is no cell.
    """
    texts = []
    for value in values:
        if isinstance(value, list | dict | bytes):
            raise UserError(_no_cell(file, name, f"values such as {str(value)[:30]}"))
        texts.append(_text(value))
    return texts


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, date):
        return value.isoformat().replace("T", " ")
    return str(value)


def _database(path: Path, sheet: str | None) -> pd.DataFrame:
    """A table of a SQLite database."""
    address = f"{path.absolute().as_uri()}?immutable=1"  # writes nothing beside it
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            tables = "select name from sqlite_master where type in ('table', 'view')"
            named = [row[0] for row in database.execute(f"{tables} and name not like 'sqlite_%'")]
            chosen = _chosen(path.name, "table", named, sheet)
            quoted = chosen.replace('"', '""')
            cursor = database.execute(f'select * from "{quoted}"')  # noqa: S608 - of the list
            names = [item[0] for item in cursor.description]
            return _of_rows(path.name, names, cursor)
    except sqlite3.Error as error:
        raise UserError(f"{path.name} cannot be read as a SQLite database: {error}") from None


def _workbook(path: Path, sheet: str | None) -> pd.DataFrame:
    """A sheet of an Excel workbook; its first row names the columns."""
    with needs("excel"):
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    try:
        # values, and beside them the formulas that they were computed by
        books = [load_workbook(path, read_only=True, data_only=only) for only in (True, False)]
    except (InvalidFileException, BadZipFile, KeyError, OSError) as error:
        raise UserError(f"{path.name} cannot be read as a workbook: {error}") from None
    try:
        chosen = _chosen(path.name, "sheet", books[0].sheetnames, sheet)
        rows, formulas = (book[chosen].iter_rows(values_only=True) for book in books)
        return _of_rows(path.name, *_header(path.name, _computed(path.name, rows, formulas)))
    finally:
        for book in books:
            book.close()


def _header(file: str, rows: Iterator[Sequence[Any]]) -> tuple[list[str], Iterator[Sequence[Any]]]:
    first = next(rows, None)
    if first is None:
        raise UserError(f"{file} is empty")
    return [_text(name) for name in first], rows


def _computed(
    file: str, rows: Iterator[Sequence[Any]], formulas: Iterator[Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    """The rows; a formula that no program has computed would be a missing cell.

    Raises:
        UserError: there is one.
    """
    for number, (values, written) in enumerate(zip(rows, formulas, strict=True), 1):
        for value, formula in zip(values, written, strict=True):
            if value is None and formula is not None:
                raise UserError(
                    f"{file}, row {number}: '{formula}' was never computed; open and save the file "
                    "in a spreadsheet program"
                )
        yield values


def _of_rows(file: str, names: list[str], rows: Iterator[Sequence[Any]]) -> pd.DataFrame:
    """A table of Python's values by row, all as texts."""
    delimited.check_header(file, names)
    columns = list(itertools.zip_longest(*rows)) or [()] * len(names)
    # of a sheet, a row may have more cells than the first
    names = names + [""] * (len(columns) - len(names))
    texts = [
        _as_texts(file, name, list(values)) for name, values in zip(names, columns, strict=True)
    ]
    table = pd.DataFrame(dict(enumerate(texts)), dtype=str)
    table.columns = pd.Index(names)
    return table


def _chosen(file: str, what: str, named: list[str], asked: str | None) -> str:
    """The sheet or table that was asked for, or the only one.

    Raises:
        UserError: there is none of that name, or several and nobody chose.
    """
    if asked is None and len(named) == 1:
        return named[0]
    listed = ", ".join(map(repr, named)) or "none"
    if asked is None:
        raise UserError(f"{file} has several {what}s: {listed}; choose one: data.sheet=...")
    if asked not in named:
        raise UserError(f"{file} has no {what} '{asked}', but {listed}.{nearest(asked, named)}")
    return asked

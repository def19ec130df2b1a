"""The cells of any file of rows with named columns, as texts: CSV, Parquet, Arrow, JSON lines,
Excel, SQLite.

What a typed file says of a value is written so that it is read as the same value: 0.1 is "0.1", a
moment has its zone, nothing is the empty text.

Letters: N rows.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goodfit.data import delimited, row_files
from goodfit.data.faults import drop as leave_out
from goodfit.data.spill import Spill
from goodfit.errors import UserError, nearest
from goodfit.system.extras import needs

_DATABASES = (".sqlite", ".sqlite3", ".db")
_WORKBOOKS = (".xlsx", ".xlsm")
SHEETS = _WORKBOOKS + _DATABASES
_OLD_WORKBOOKS = (".xls", ".ods", ".numbers")
_PART = 65_536  # rows of JSON that are read at once
_TO_COMPUTE = "open and save the file in a spreadsheet program"


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


def cells(
    path: Path,
    *,
    sheet: str | None = None,
    drop: Collection[str] = (),
    spill: Spill | None = None,
) -> pd.DataFrame:
    """All cells (N rows) as text; row k of the file has the index k - `attrs["first_row"]`.

    Other attributes are those of `delimited.cells`. `sheet` names the sheet of a workbook or the
    table of a database; columns that `drop` names may hold what is no cell. Of CSV, Parquet and
    Arrow, memory holds what `spill` leaves there.

    Raises:
        UserError: the file is not what its name says, or a column holds lists, objects or bytes.
    """
    spill = spill or Spill()
    ending = _ending(path)
    if ending == ".json":
        raise UserError(
            f"{path.name}: .json is not read; write JSON lines (.jsonl), an object for each row on "
            "a line of its own"
        )
    if ending in _OLD_WORKBOOKS:
        raise UserError(_old(path))
    if sheet is not None and ending not in SHEETS:
        raise UserError(f"data.sheet={sheet}: {path.name} has no sheets; leave it out")
    if ending in SHEETS:
        names, rows, first_row = _sheet(path, sheet, "data.sheet=")
        return _named(path.name, _of_rows(path.name, names, rows, drop), first_row, spill)
    form = row_files.ENDINGS.get(ending)
    if form in ("parquet", "arrow"):
        return _named(path.name, _columnar(path, ending, drop, spill), 1, spill)
    if form == "jsonl":
        return _named(path.name, _json_lines(path, drop), 1, spill)
    return delimited.cells(path, spill)


def has_sheets(path: Path) -> bool:
    """Whether a file is a workbook or a database by its name.

    Raises:
        UserError: it is a workbook of a kind that is not read.
    """
    if _ending(path) in _OLD_WORKBOOKS:
        raise UserError(_old(path))
    return _ending(path) in SHEETS


def parts(path: Path, sheet: str | None, size: int) -> Generator[row_files.Part, None, None]:
    """The rows of a workbook or a database, `size` at a time; at least one part, maybe empty.

    Cells are the texts that training reads. A row without any of a database is one; of a
    workbook it is none, for a sheet ends where somebody once wrote. What is no cell, such as
    bytes, stays as it is: the model may not ask for it.

    Raises:
        UserError: the file cannot be read, or has several sheets or tables, and `sheet` names none.
    """
    names, rows, first_row = _sheet(path, sheet, "--sheet ")
    # of a sheet, a row may have more cells than the first
    width = max(map(len, [names, *rows]))
    names = _unnamed(names + [""] * (width - len(names)))
    delimited.check_header(path.name, names)
    cells = [_in_use(row, width) for row in rows]
    numbers = list(range(first_row, first_row + len(rows)))
    if _ending(path) in _WORKBOOKS:
        kept = [place for place, row in enumerate(cells) if any(row)]
        cells, numbers = [cells[place] for place in kept], [numbers[place] for place in kept]
    for first in range(0, max(len(cells), 1), size):
        table = pd.DataFrame(cells[first : first + size], columns=names, dtype=object)
        yield row_files.Part(table, numbers[first : first + size], f"{path.name}, row")


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _old(path: Path) -> str:
    return f"{path.name}: {_ending(path)} is not read; save it as .xlsx or as CSV in UTF-8"


def _in_use(row: Sequence[Any], width: int) -> list[Any]:
    """The texts of a row, `width` of them, but for what is no cell."""
    values = [
        value if isinstance(value, list | dict | bytes | Uncomputed) else _text(value)
        for value in row
    ]
    return values + [""] * (width - len(values))


def _unnamed(names: Sequence[str]) -> list[str]:
    """Names of columns, as those are called that have none."""
    return [
        delimited.normal(str(name)) if name else f"Unnamed: {place}"
        for place, name in enumerate(names)
    ]


def _named(file: str, table: pd.DataFrame, first_row: int, spill: Spill) -> pd.DataFrame:
    """The table without blank rows and spaces around names and cells, as `delimited.cells` does."""
    delimited.check_header(file, [str(name) for name in table.columns])
    table.columns = pd.Index(_unnamed(list(table.columns)))
    table = delimited.without_blanks(table, spill)
    table.attrs |= {"first_row": first_row, "said": []}
    return table


def _columnar(path: Path, ending: str, drop: Collection[str], spill: Spill) -> pd.DataFrame:
    """Of Parquet, or Arrow's own file or stream, one column after the other."""
    try:
        names, rows, column = _parquet(path) if ending == ".parquet" else _arrow(path)
        # what pandas keeps of its row names
        names = [name for name in names if not row_files.is_index(name)]
        delimited.check_header(path.name, names)
        blank = pa.chunked_array([pa.array([""] * rows)])
        texts = (blank if name in drop else _texts(path.name, name, column(name)) for name in names)
        series = (pa.table({"": some}).to_pandas()[""] for some in texts)
        return spill.table(one.rename(name) for name, one in zip(names, series, strict=True))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path.name} cannot be read as {ending[1:]}: {reason}") from None


class _Sheet(NamedTuple):
    """Names of columns, rows of Python's values below, and the number of the first row."""

    names: list[str]
    rows: list[Sequence[Any]]
    first_row: int


class _Columns(NamedTuple):
    """The names of a file's columns, its number of rows, and what reads one of them, (N,)."""

    names: list[str]
    rows: int
    read: Callable[[str], pa.ChunkedArray]


def _parquet(path: Path) -> _Columns:
    file = pq.ParquetFile(path)
    names = list(file.schema_arrow.names)
    # of "a", the columns of a struct or a list, and "a.b", come along
    return _Columns(names, file.metadata.num_rows, lambda name: file.read(columns=[name])[name])


def _arrow(path: Path) -> _Columns:
    source = pa.memory_map(str(path))
    try:
        schema = pa.ipc.open_file(source).schema
    except pa.ArrowInvalid:
        source.seek(0)
        table = pa.ipc.open_stream(source).read_all()
        return _Columns(table.column_names, len(table), table.column)

    def read(name: str) -> pa.ChunkedArray:
        only = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name)])
        return pa.ipc.open_file(source, options=only).read_all().column(name)

    rows = len(read(schema.names[0])) if schema.names else 0
    return _Columns(list(schema.names), rows, read)


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
        f"or leave it out ({leave_out(name)})"
    )


def _json_lines(path: Path, drop: Collection[str]) -> pd.DataFrame:
    """A key that a line lacks is a missing cell; columns stand in the order in which they come."""
    parts, numbers = [], []
    with path.open("rb") as stream:
        for part in row_files.parts(path.name, stream, "jsonl", _PART):
            for place, problem in part.broken.items():
                raise UserError(f"{part.where(place)} {problem}")
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
        if isinstance(value, Uncomputed):
            raise UserError(
                f"{file}, sheet '{value.sheet}', cell {value.cell}: '{value}' was never computed; "
                f"{_TO_COMPUTE}, or leave the column out ({leave_out(name)})"
            )
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


def _sheet(path: Path, sheet: str | None, option: str) -> _Sheet:
    """What a workbook or a database holds; `option` is how a user names a sheet or a table.

    Raises:
        UserError: it cannot be read, or it is not clear which sheet or table is meant.
    """
    read = _database if _ending(path) in _DATABASES else _workbook
    return read(path, sheet, option)


def _database(path: Path, sheet: str | None, option: str) -> _Sheet:
    address = f"{path.absolute().as_uri()}?immutable=1"  # writes nothing beside it
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            tables = "select name from sqlite_master where type in ('table', 'view')"
            named = [row[0] for row in database.execute(f"{tables} and name not like 'sqlite_%'")]
            chosen = _chosen(path.name, "table", named, sheet, option)
            quoted = chosen.replace('"', '""')
            cursor = database.execute(f'select * from "{quoted}"')  # noqa: S608 - of the list
            return _Sheet([item[0] for item in cursor.description], list(cursor), 1)
    except sqlite3.Error as error:
        raise UserError(f"{path.name} cannot be read as a SQLite database: {error}") from None


def _workbook(path: Path, sheet: str | None, option: str) -> _Sheet:
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
        return _Sheet(names, list(below), 2)
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
                f"and was never computed; {_TO_COMPUTE}"
            )
    return [_text(name) for name in first], rows


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


def _of_rows(
    file: str, names: list[str], rows: Iterable[Sequence[Any]], drop: Collection[str]
) -> pd.DataFrame:
    """A table of Python's values by row, all as texts; of columns that `drop` names, none."""
    delimited.check_header(file, names)
    columns = list(itertools.zip_longest(*rows)) or [()] * len(names)
    # of a sheet, a row may have more cells than the first
    names = names + [""] * (len(columns) - len(names))
    texts = []
    for name, values in zip(names, columns, strict=True):
        unread = delimited.normal(name) in drop
        texts.append([""] * len(values) if unread else _as_texts(file, name, list(values)))
    table = pd.DataFrame(dict(enumerate(texts)), dtype=str)
    table.columns = pd.Index(names)
    return table


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

"""The cells of any file of rows with named columns, as texts: CSV, Parquet, Arrow, JSON lines,
Excel, SQLite.

What a typed file says of a value is written so that it is read as the same value: 0.1 is "0.1", a
moment has its zone, nothing is the empty text.

Letters: N rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goodfit.data import delimited, row_files, sheets
from goodfit.data.encodings import Encoding
from goodfit.data.faults import drop as leave_out
from goodfit.data.sheets import DATABASES, TO_COMPUTE, WORKBOOKS, Uncomputed, as_text
from goodfit.data.spill import Spill
from goodfit.errors import UserError

SHEETS = WORKBOOKS + DATABASES
_OLD_WORKBOOKS = (".xls", ".ods", ".numbers")
_PART = 65_536  # rows of JSON that are read at once


class _NoCellError(UserError):
    """A column holds what is no cell."""


class Wanted(NamedTuple):
    """Which columns of a file are read: `dropped` ones are not, `needed` ones must be.

    All others are read where that can be; where it cannot, they are empty, or refused where an
    option `drops` them, so that the user does.
    """

    dropped: Collection[str] = ()
    needed: Collection[str | None] = ()
    drops: bool = True

    def is_dropped(self, name: str) -> bool:
        """Whether it is not read."""
        name = delimited.normal(name)
        return name in self.dropped and name not in self.needed

    def refuse(self, name: str, problem: str) -> None:
        """Of a column that holds no cells.

        Raises:
            UserError: it is needed, or may be dropped.
        """
        is_needed = delimited.normal(name) in self.needed
        if self.drops and not is_needed:
            raise UserError(f"{problem}, or leave the column out ({leave_out(name)})")
        if is_needed:
            raise UserError(problem)


def cells(
    path: Path,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    option: str = "data.encoding=",
    wanted: Wanted | None = None,
    spill: Spill | None = None,
) -> pd.DataFrame:
    """All cells (N rows) as text; row k of the file has the index k - `attrs["first_row"]`.

    Other attributes are those of `delimited.cells`. `sheet` names the sheet of a workbook or the
    table of a database, `encoding` that of a text, as `option` says. Of CSV, Parquet and Arrow,
    memory holds what `spill` leaves there.

    Raises:
        UserError: the file is not what its name says, or a column holds lists, objects or bytes.
    """
    spill, wanted = spill or Spill(), wanted or Wanted()
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
    form = row_files.ENDINGS.get(ending)
    if encoding is not None and (ending in SHEETS or form in ("parquet", "arrow")):
        raise UserError(f"{option}{encoding}: {path.name} is no text; leave it out")
    if ending in SHEETS:
        names, rows, first_row = sheets.read(path, sheet, "data.sheet=")
        return _named(path.name, _of_rows(path.name, names, rows, wanted), first_row, spill)
    if form in ("parquet", "arrow"):
        return _named(path.name, _columnar(path, ending, wanted, spill), 1, spill)
    if form == "jsonl":
        return _named(path.name, _json_lines(path, wanted, Encoding(encoding, option)), 1, spill)
    return delimited.cells(path, spill, Encoding(encoding, option))


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
    names, rows, first_row = sheets.read(path, sheet, "--sheet ")
    # of a sheet, a row may have more cells than the first
    width = max(map(len, [names, *rows]))
    names = _unnamed(names + [""] * (width - len(names)))
    delimited.check_header(path.name, names)
    cells = [_in_use(row, width) for row in rows]
    numbers = list(range(first_row, first_row + len(rows)))
    if _ending(path) in WORKBOOKS:
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
        value if isinstance(value, list | dict | bytes | Uncomputed) else as_text(value)
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


def _columnar(path: Path, ending: str, wanted: Wanted, spill: Spill) -> pd.DataFrame:
    """Of Parquet, or Arrow's own file or stream, one column after the other."""
    try:
        names, rows, column = _parquet(path) if ending == ".parquet" else _arrow(path)
        # what pandas keeps of its row names
        names = [name for name in names if not row_files.is_index(name)]
        delimited.check_header(path.name, names)
        blank = pa.chunked_array([pa.array([""] * rows)])

        def texts(name: str) -> pa.ChunkedArray:
            if wanted.is_dropped(name):
                return blank
            try:
                return _texts(path.name, name, column(name))
            except _NoCellError as error:
                wanted.refuse(name, str(error))
                return blank

        series = (pa.table({"": some}).to_pandas()[""] for some in map(texts, names))
        return spill.table(one.rename(name) for name, one in zip(names, series, strict=True))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path.name} cannot be read as {ending[1:]}: {reason}") from None


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
        _NoCellError: its values are no cells.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if pa.types.is_nested(kind) or pa.types.is_duration(kind) or is_bytes:
        raise _NoCellError(_no_cell(file, name, f"values of type {kind}"))
    return pc.fill_null(pc.cast(column, pa.string()), "")


def _no_cell(file: str, name: str, what: str) -> str:
    return (
        f"{file}: column '{name}' holds {what}, which are no cells; make numbers or texts of them"
    )


def _json_lines(path: Path, wanted: Wanted, encoding: Encoding) -> pd.DataFrame:
    """A key that a line lacks is a missing cell; columns stand in the order in which they come."""
    parts, numbers = [], []
    with path.open("rb") as stream:
        for part in row_files.parts(path.name, stream, "jsonl", _PART, encoding):
            for place, problem in part.broken.items():
                raise UserError(f"{part.where(place)} {problem}")
            kept = part.rows
            for name in kept:
                kept[name] = _as_texts(path.name, str(name), kept[name], wanted)
            parts.append(kept)
            numbers += part.numbers
    table = pd.concat(parts).fillna("").astype(str)
    table.index = pd.Index([number - 1 for number in numbers])
    return table


def _as_texts(
    file: str, name: str, values: Sequence[Any] | pd.Series[Any], wanted: Wanted
) -> list[str]:
    """Python's values (N,) as texts, all empty where the column is not wanted.

    Raises:
        UserError: one is no cell, in a column that is.
    """
    if wanted.is_dropped(name):
        return [""] * len(values)
    texts = []
    for value in values:
        problem = _problem(file, name, value)
        if problem:
            wanted.refuse(name, problem)
            return [""] * len(values)
        texts.append(as_text(value))
    return texts


def _problem(file: str, name: str, value: Any) -> str:
    """What is wrong with a value that is no cell, and what to do; "" of one."""
    if isinstance(value, Uncomputed):
        return (
            f"{file}, sheet '{value.sheet}', cell {value.cell}: '{value}' was never computed; "
            f"{TO_COMPUTE}"
        )
    if isinstance(value, list | dict | bytes):
        return _no_cell(file, name, f"values such as {str(value)[:30]}")
    return ""


def _of_rows(
    file: str, names: list[str], rows: Iterable[Sequence[Any]], wanted: Wanted
) -> pd.DataFrame:
    """A table of Python's values by row, all as texts; of columns that are not wanted, none."""
    delimited.check_header(file, names)
    columns = list(itertools.zip_longest(*rows)) or [()] * len(names)
    # of a sheet, a row may have more cells than the first
    names = names + [""] * (len(columns) - len(names))
    texts = []
    for name, values in zip(names, columns, strict=True):
        texts.append(_as_texts(file, name, list(values), wanted))
    table = pd.DataFrame(dict(enumerate(texts)), dtype=str)
    table.columns = pd.Index(names)
    return table

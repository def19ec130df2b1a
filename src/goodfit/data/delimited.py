"""The cells of a text file with a header, as they are written; its separator is found out.

Letters: N rows below the header.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import unicodedata
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import plain_csv
from goodfit.data.spill import Spill
from goodfit.errors import UserError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# how files begin that are no UTF-8
_OTHERS = {
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "UTF-16"),
    **{b"PK": "an Excel workbook or a ZIP archive", b"\x1f\x8b": "a gzip archive"},
}
_SAMPLE = 200  # rows that tell the separator


def cells(raw: Path, spill: Spill | None = None) -> pd.DataFrame:
    """All cells (N rows) as text; the index counts blank rows, too.

    Blank rows are left out, for nothing can be learned of them; whoever asks a model gets an answer
    to them, too (`row_files`). Spaces around names and cells are dropped, columns without a name
    called "Unnamed: <number>". Attributes: `separator`, the word for it, and `spaced`, how many
    cells of each column had spaces around them. Of a plain file, memory holds what `spill` leaves
    there; a file with quotes in cells is read as a whole.

    Raises:
        UserError: the file is empty, no UTF-8, has rows longer than the header, or two columns of
            one name.
    """
    spill = spill or Spill()
    head = _head(raw)
    separator = found_separator(head)
    # pandas would rename the second of two equal names
    header = next(_rows(head, separator), [])
    check_header(raw.name, header)
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    table = plain_csv.cells(raw, names, separator, spill) if header else None
    if table is None:
        text = _text(raw)
        separator = found_separator(text)
        check_header(raw.name, next(_rows(text, separator), []))
        table = _table(text, separator, raw.name)
        _refuse_swallowed_rows(raw.name, table, text, separator)
    table.columns = table.columns.map(normal)
    table = without_blanks(table, spill)
    for name in table:
        _refuse_single_quotes(raw.name, table[name])
    table.attrs["separator"] = SEPARATORS[separator]
    return table


def without_blanks(table: pd.DataFrame, spill: Spill) -> pd.DataFrame:
    """Texts (N rows) without spaces around them, and without rows that have no other.

    Attribute: `spaced`, how many cells of each column had spaces around them.
    """
    spaced: dict[Any, int] = {}
    blank = np.ones(len(table), bool)

    def stripped(name: Any) -> Any:
        cells: pd.Series[Any] = table[name].str.strip()
        spaced[name] = int((cells != table[name]).sum())
        blank[blank] = (cells[blank] == "").to_numpy(bool)
        # what is as it was lies where it lay
        return cells if spaced[name] else table[name]

    made = pd.DataFrame({name: spill.column(stripped(name)) for name in table}, copy=False)
    made = spill.taken(made, ~blank) if blank.any() else made
    made.attrs = {"spaced": spaced}
    return made


def normal(name: str) -> str:
    """A name without spaces around it, and its accents as most programs write them.

    Those of macOS and some exports are two letters, and look the same.
    """
    return unicodedata.normalize("NFC", name.strip())


def check_header(file: str, header: Iterable[str]) -> None:
    """No two columns have the same name.

    Raises:
        UserError: two have.
    """
    names = Counter(normal(name) for name in header)
    repeated = [name for name, count in names.items() if count > 1 and name]
    if repeated:
        raise UserError(f"{file} has two columns named '{repeated[0]}'; rename one")


def other_kind(content: bytes) -> str:
    """What a file is that is no UTF-8, by its first bytes; "" where they do not tell."""
    return next((kind for mark, kind in _OTHERS.items() if content.startswith(mark)), "")


def _head(raw: Path) -> str:
    """The first rows of a file, which tell its separator; empty of one that is no UTF-8."""
    opened = gzip.open if raw.suffix == ".gz" else open
    try:
        with opened(raw, "rt", encoding="utf-8-sig") as stream:
            return "".join(islice(stream, _SAMPLE + 1)).lstrip("\ufeff")
    except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile):
        return ""


def _text(raw: Path) -> str:
    try:
        content = gzip.decompress(raw.read_bytes()) if raw.suffix == ".gz" else raw.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{raw.name} cannot be unpacked: {error}") from None
    try:
        # with the mark of byte order that Excel writes, or without; line ends as Python's reader
        text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig").read().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        other = other_kind(content)
        where = f", but {other}" if other else f" (byte {error.start})"
        encoding = {"": "CP1252", "UTF-16": "UTF-16"}.get(other)
        how = f" (a file of Windows by `iconv -f {encoding} -t UTF-8`)" if encoding else ""
        raise UserError(f"{raw.name} is not UTF-8{where}; save it as CSV in UTF-8{how}") from None
    if "\0" in text:
        place = len(text.partition("\0")[0].encode())
        kind = other_kind(text[:2].encode())
        other = f": it is {kind}" if kind else ""
        raise UserError(
            f"{raw.name} is no text (byte {place} is NUL){other}; save it as CSV in UTF-8"
        )
    return text


def _table(text: str, separator: str, file: str) -> pd.DataFrame:
    """The cells as they are written, blank rows included; `file` is named where pandas refuses."""
    try:
        with warnings.catch_warnings():
            # pandas would take the first cell of longer rows for an index, or drop the last, with a
            # warning
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # as text: pandas would read NaN where a cell says "NA" or "None"
            return pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                skip_blank_lines=False,
                skipinitialspace=has_spaces_before_quotes(text, separator),
            )
    except pd.errors.EmptyDataError:
        raise UserError(f"{file} is empty") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        cut = f"{file}, cut at each {SEPARATORS[separator]}"
        if "EOF inside string" in str(error):
            raise UserError(f'{cut}: a quote (") is opened and never closed') from None
        raise UserError(f"{cut}: {_uneven(text, separator)}") from None


def _refuse_single_quotes(file: str, cells: pd.Series[str]) -> None:
    filled = cells[cells != ""]
    if len(filled) and filled.iloc[0].startswith("'") and filled.str.fullmatch("'.*'").all():
        raise UserError(
            f"{file}: the cells of column {cells.name} are in single quotes, which belong to a "
            'cell in CSV; write double quotes (")'
        )


def _refuse_swallowed_rows(file: str, table: pd.DataFrame, text: str, separator: str) -> None:
    """Where a quote is not closed, the one that was to open a later cell closes it.

    Raises:
        UserError: the rows between became part of a cell of the `table` (N rows).
    """
    for name in table:
        cells = table[name]
        for row in np.flatnonzero(cells.str.contains("\n", regex=False)):
            cell = cells.iloc[row]
            if '"' not in cell or separator not in cell:
                continue
            if _quotes_fit(text, separator):
                return
            raise UserError(
                f'{file}: a quote (") is opened in row {row + 2}, column {name}, and not '
                f"closed: {cell.count(chr(10))} rows below it became part of the cell"
            )


def _quotes_fit(text: str, separator: str) -> bool:
    """Whether each quote that closes a cell stands at its end."""
    try:
        for _ in csv.reader(io.StringIO(text), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        return "expected after" not in str(error)
    return True


def _uneven(text: str, separator: str) -> str:
    """Which row has more cells than the header, and why that may be."""
    widths = {number: len(row) for number, row in enumerate(_rows(text, separator), 1) if row}
    header, *others = widths.values()
    longer = [number for number, width in widths.items() if width > header]
    usual = Counter(others).most_common(1)[0][0] if others else header
    if not longer:
        return "its rows cannot be told apart; every row needs the header's columns"
    said = f"row {longer[0]} has {widths[longer[0]]} cells, the header {header}"
    if usual == header:
        return f"{said}; put cells that hold a {SEPARATORS[separator]} into double quotes"
    if len(longer) == len(others) and usual == header + 1 > 2:
        return (
            f"{said}, and so have all; the column of row numbers needs a name, the rows end with "
            f"a separator that the header lacks, or numbers with a {SEPARATORS[separator]} lack "
            "quotes"
        )
    return f"{said}; nothing may stand above the header, which names every column"


def has_spaces_before_quotes(text: str, separator: str) -> bool:
    """Whether spaces stand between a separator and a quote, which would be a letter then."""
    return f'{separator} "' in text


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """The rows of a text, as far as Python's reader goes: pandas, which reads all, knows no limit.

    It stops at a cell of 131,072 letters.
    """
    with contextlib.suppress(csv.Error):
        yield from csv.reader(
            io.StringIO(text),
            delimiter=separator,
            skipinitialspace=has_spaces_before_quotes(text, separator),
        )


def found_separator(text: str) -> str:
    """Of those in the header, the one that cuts most rows into as many cells as the header.

    Where that is true of several, the one that makes most columns: a comma may stand in "1,5;2,5",
    too.
    """
    best, most = ",", (0.0, 1)
    for separator in SEPARATORS:
        widths = [len(row) for row in islice(_rows(text, separator), _SAMPLE) if row]
        if not widths or widths[0] == 1:
            continue
        alike = sum(width == widths[0] for width in widths) / len(widths)
        if (alike, widths[0]) > most:
            best, most = separator, (alike, widths[0])
    return best

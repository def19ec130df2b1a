"""The cells of a text file with a header, as they are written; its separator is found out.

Letters: N rows below the header.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import re
import unicodedata
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.data import plain, plain_csv
from goodfit.data.encodings import UTF8, Encoding, as_utf8
from goodfit.data.spill import Spill
from goodfit.errors import UserError
from goodfit.system.units import counted

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# how files begin that are no text
_OTHERS = {b"PK": "an Excel workbook or a ZIP archive", b"\x1f\x8b": "a gzip archive"}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# the line that Excel writes, and takes, above the header
_STATED = re.compile(r'"?sep=(.)"?\r?(?:\n|$)', re.IGNORECASE)
_SAMPLE = 200  # rows that tell the separator


class Beginning(NamedTuple):
    """What tells the cells of a text: its separator, and how many lines stand above the header."""

    separator: str
    above: int

    def below(self, text: str) -> str:
        """The text from the header on."""
        return text.partition("\n")[2] if self.above else text


def cells(raw: Path, spill: Spill | None = None, encoding: Encoding = UTF8) -> pd.DataFrame:
    """All cells (N rows) as text; the index counts blank rows, too.

    Blank rows are left out, for nothing can be learned of them; whoever asks a model gets an answer
    to them, too (`row_files`). Spaces around names and cells are dropped, columns without a name
    called "Unnamed: <number>". Attributes: `spaced`, how many cells of each column had spaces
    around them, `first_row`, the number of the row below the header, and `said`, what a reader
    should know of the file. Of a plain file, memory holds what `spill` leaves
    there; a file with quotes in cells, or not of UTF-8, is read as a whole. `encoding` is what the
    user says of it.

    Raises:
        UserError: the file is empty, no UTF-8 or UTF-16 nor of the `encoding`, has rows longer than
            the header, or two columns of one name.
    """
    spill = spill or Spill()
    text = _text(raw, encoding) if encoding.is_another else None
    is_utf16, head = _head(raw) if text is None else (False, text)
    begin = beginning(raw.name, head)
    # pandas would rename the second of two equal names
    header = next(_rows(begin.below(head), begin.separator), [])
    check_header(raw.name, header)
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    table = None
    if header and text is None:
        first_row = 2 + begin.above
        table = plain_csv.cells(raw, names, begin.separator, spill, first_row=first_row)
    if table is None:
        text = _text(raw, encoding) if text is None else text
        begin = beginning(raw.name, text)
        text = begin.below(text)
        check_header(raw.name, next(_rows(text, begin.separator), []))
        table = _table(text, begin, raw.name)
        _refuse_swallowed_rows(raw.name, table, text, begin)
    table.columns = table.columns.map(normal)
    table = without_blanks(table, spill)
    for name in table:
        _refuse_single_quotes(raw.name, table[name])
    said = ["it is UTF-16"] if is_utf16 else []
    said += [f"it is read as {encoding.name}"] if encoding.is_another else []
    if begin.above or begin.separator != ",":
        by = ", as its first line says" if begin.above else ""
        said.append(f"cells are separated by a {SEPARATORS[begin.separator]}{by}")
    table.attrs |= {"first_row": 2 + begin.above, "said": said}
    return table


def without_blanks(table: pd.DataFrame, spill: Spill) -> pd.DataFrame:
    """Texts (N rows) without spaces around them, and without rows that have no other.

    Attribute: `spaced`, how many cells of each column had spaces around them.
    """
    spaced: dict[Any, int] = {}
    blank = np.ones(len(table), bool)

    def stripped(name: Any) -> Any:
        cells: pd.Series[Any] = table[name]
        spaced[name] = 0
        if plain.may_have_spaces(cells):
            cells = cells.str.strip()
            spaced[name] = int((cells != table[name]).sum())
        if blank.any():
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
    """What a file is that is no text, by its first bytes; "" where they do not tell."""
    return next((kind for mark, kind in _OTHERS.items() if content.startswith(mark)), "")


def encoding_of(content: bytes) -> str:
    """UTF-16 where the first bytes of a text are its mark of byte order, which no UTF-8 has."""
    return "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"


def _head(raw: Path) -> tuple[bool, str]:
    """Whether a file is UTF-16, and its first rows; these empty where it has no such letters."""
    opened = gzip.open if raw.suffix == ".gz" else open
    encoding = "utf-8-sig"
    try:
        with opened(raw, "rb") as begin:
            encoding = encoding_of(begin.read(2))
        with opened(raw, "rt", encoding=encoding) as stream:
            return encoding == "utf-16", "".join(islice(stream, _SAMPLE + 1)).lstrip("\ufeff")
    except (UnicodeError, EOFError, zlib.error, gzip.BadGzipFile):
        return encoding == "utf-16", ""


def _text(raw: Path, asked: Encoding) -> str:
    try:
        content = gzip.decompress(raw.read_bytes()) if raw.suffix == ".gz" else raw.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{raw.name} cannot be unpacked: {error}") from None
    if asked.is_another:
        content = as_utf8(raw.name, io.BytesIO(content), asked).read()
    encoding = encoding_of(content)
    try:
        # with the mark of byte order that Excel writes, or without; line ends as Python's reader
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise UserError(
                f"{raw.name} begins as UTF-16 and is none (byte {error.start}); save it as CSV in "
                "UTF-8"
            ) from None
        other = other_kind(content)
        where = f", but {other}" if other else f" (byte {error.start})"
        how = "save it as CSV in UTF-8" if other else asked.advice
        raise UserError(f"{raw.name} is not UTF-8{where}; {how}") from None
    if "\0" in text:
        place = len(text.partition("\0")[0].encode())
        kind = other_kind(text[:2].encode())
        other = f": it is {kind}" if kind else ""
        raise UserError(
            f"{raw.name} is no text (byte {place} is NUL){other}; save it as CSV in UTF-8"
        )
    return text


def _table(text: str, begin: Beginning, file: str) -> pd.DataFrame:
    """The cells as they are written, blank rows included; `file` is named where pandas refuses."""
    separator = begin.separator
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
        raise UserError(f"{cut}: {_uneven(text, begin)}") from None


def _refuse_single_quotes(file: str, cells: pd.Series[str]) -> None:
    filled = cells[cells != ""]
    if len(filled) and filled.iloc[0].startswith("'") and filled.str.fullmatch("'.*'").all():
        raise UserError(
            f"{file}: the cells of column {cells.name} are in single quotes, which belong to a "
            'cell in CSV; write double quotes (")'
        )


def _refuse_swallowed_rows(file: str, table: pd.DataFrame, text: str, begin: Beginning) -> None:
    """Where a quote is not closed, the one that was to open a later cell closes it.

    Raises:
        UserError: the rows between became part of a cell of the `table` (N rows).
    """
    for name in table:
        cells = table[name]
        for row in np.flatnonzero(cells.str.contains("\n", regex=False)):
            cell = cells.iloc[row]
            if '"' not in cell or begin.separator not in cell:
                continue
            if _quotes_fit(text, begin.separator):
                return
            raise UserError(
                f'{file}: a quote (") is opened in row {row + 2 + begin.above}, column {name}, and '
                f"not closed: {counted(cell.count(chr(10)), 'row')} below it became part of the "
                "cell"
            )


def _quotes_fit(text: str, separator: str) -> bool:
    """Whether each quote that closes a cell stands at its end."""
    try:
        for _ in csv.reader(io.StringIO(text), delimiter=separator, strict=True):
            pass
    except csv.Error as error:
        return "expected after" not in str(error)
    return True


def _uneven(text: str, begin: Beginning) -> str:
    """Which row has more cells than the header, and why that may be."""
    separator = begin.separator
    rows = enumerate(_rows(text, separator), 1 + begin.above)
    widths = {number: len(row) for number, row in rows if row}
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


def beginning(file: str, text: str) -> Beginning:
    """The separator that the first line of a text states, as "sep=;", or else the one found.

    Raises:
        UserError: it states another one than those that are read; `file` is named.
    """
    stated = _STATED.match(text)
    if stated is None:
        return Beginning(found_separator(text), 0)
    if stated[1] not in SEPARATORS:
        raise UserError(
            f"{file} says in its first line that cells are separated by {stated[1]!r}; expected "
            f"one of: {' '.join(SEPARATORS.values())}"
        )
    return Beginning(stated[1], 1)


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

"""The cells of a text file with a header, as they are written; its separator is found out.

Letters: N rows below the header.
"""

from __future__ import annotations

import contextlib
import csv
import io
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pandas as pd

from goodfit.errors import UserError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE = 200  # rows that tell the separator


def cells(raw: Path) -> pd.DataFrame:
    """All cells (N rows) as text; the index counts blank rows, too.

    Blank rows are left out, and spaces around names and cells dropped. Columns without a name are
    called "Unnamed: <number>". Attributes: `separator`, the word for it, and `spaced`, how many
    cells of each column had spaces around them.

    Raises:
        UserError: the file is empty, no UTF-8, has rows longer than the header, or two columns of
            one name.
    """
    text = _text(raw)
    separator = found_separator(text)
    # pandas would rename the second of two equal names
    check_header(raw.name, next(_rows(text, separator), []))

    table = _table(text, separator, raw.name)
    table.columns = table.columns.str.strip()

    spaced = {}
    for name in table:
        stripped = table[name].str.strip()
        spaced[name] = int((stripped != table[name]).sum())
        table[name] = stripped
    table = table.loc[(table != "").any(axis=1)]
    table.attrs = {"separator": SEPARATORS[separator], "spaced": spaced}
    return table


def check_header(file: str, header: Iterable[str]) -> None:
    """No two columns have the same name.

    Raises:
        UserError: two have.
    """
    names = Counter(name.strip() for name in header)
    repeated = [name for name, count in names.items() if count > 1 and name]
    if repeated:
        raise UserError(f"{file} has two columns named '{repeated[0]}'; rename one")


def _text(raw: Path) -> str:
    try:
        # with the mark of byte order that Excel writes, or without
        return raw.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{raw.name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


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
            )
    except pd.errors.EmptyDataError:
        raise UserError(f"{file} is empty") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = str(error).strip()
        raise UserError(
            f"{file}, cut at each {SEPARATORS[separator]}: {reason}; "
            "every row needs the header's columns"
        ) from None


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """The rows of a text, as far as Python's reader goes: pandas, which reads all, knows no limit.

    It stops at a cell of 131,072 letters.
    """
    with contextlib.suppress(csv.Error):
        yield from csv.reader(io.StringIO(text), delimiter=separator)


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

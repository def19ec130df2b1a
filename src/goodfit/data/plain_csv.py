"""A text file of rows as programs write it, read a few megabytes at a time.

What is not plain is left to `delimited`, which reads a text as a whole and says what is wrong with
it: quotes within cells, rows of other lengths, letters that are no UTF-8.

Letters: N rows below the header.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from goodfit.data.spill import Spill

_NOT_PLAIN = ('"', "\0", "\n\n", "\n\r\n")
_BLOCK = 8 * 2**20  # bytes that are read at once


def cells(
    raw: Path, names: Sequence[str], separator: str, spill: Spill, *, first_row: int
) -> pd.DataFrame | None:
    """All cells (N rows) as text under `names`, blank rows included; None of what is not plain.

    `first_row` is the line below the header, counted from 1.
    """
    if raw.suffix == ".gz" or len(set(names)) < len(names) or not _is_plain(raw, separator):
        return None
    try:
        with _rows(raw, names, separator, first_row) as reader:
            # the cells are as large as the file, beside where each ends
            if spill.holds(raw.stat().st_size):
                return _frame(reader.read_all())
            return _frame(pa.ipc.open_file(spill.mapped(lambda to: _copy(reader, to))).read_all())
    except pa.ArrowInvalid:
        return None


def rows(lines: Sequence[str], width: int, separator: str) -> pd.DataFrame | None:
    """The cells (N, `width`) of lines that are a row each; None where one may be something else.

    Without quotes and blank lines, Arrow and Python's reader cut them in the same way; where a row
    has more or fewer cells, Arrow refuses it.
    """
    text = "".join(lines)
    if any(mark in text for mark in _NOT_PLAIN) or text[:1] in ("", "\r", "\n"):
        return None
    if "\r" in text and text.count("\r") != text.count("\r\n"):
        return None
    content, names = text.encode(), [str(place) for place in range(width)]
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(content),
            pa.csv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=False),
            pa.csv.ParseOptions(delimiter=separator, quote_char=False),
            _as_texts(names),
        )
    except pa.ArrowInvalid:
        return None
    return _frame(table) if len(table) == len(lines) else None


def _is_plain(raw: Path, separator: str) -> bool:
    """Whether Arrow and pandas cut the bytes of a file in the same way."""
    mark = re.escape(separator.encode())
    # in double quotes as a whole, and without another one in it
    quoted = re.compile(rb"(?:^|(?<=[\n" + mark + rb']))"[^"\r\n]*"(?=[\r\n' + mark + rb"]|$)")
    rest = b""
    with raw.open("rb") as stream:
        if stream.read(3) == codecs.BOM_UTF8 and stream.read(3) == codecs.BOM_UTF8:
            return False
        stream.seek(0)
        while block := stream.read(_BLOCK):
            whole, end, rest = (rest + block).rpartition(b"\n")
            if len(rest) > _BLOCK or not _is_plain_text(whole + end, quoted):
                return False
    return _is_plain_text(rest, quoted)


def _is_plain_text(lines: bytes, quoted: re.Pattern[bytes]) -> bool:
    # a search takes a tenth of the time of a count, and of one letter an eighth of that of two
    if b"\0" in lines or (b"\r" in lines and lines.count(b"\r") != lines.count(b"\r\n")):
        return False
    quotes = lines.count(b'"') if b'"' in lines else 0
    return not quotes or quotes == 2 * sum(1 for _ in quoted.finditer(lines))


def _rows(
    raw: Path, names: Sequence[str], separator: str, first_row: int
) -> pa.csv.CSVStreamingReader:
    return pa.csv.open_csv(
        raw,
        pa.csv.ReadOptions(column_names=list(names), skip_rows=first_row - 1, block_size=_BLOCK),
        pa.csv.ParseOptions(delimiter=separator, ignore_empty_lines=False),
        _as_texts(names),
    )


def _as_texts(names: Sequence[str]) -> pa.csv.ConvertOptions:
    types = dict.fromkeys(names, pa.large_string())
    return pa.csv.ConvertOptions(column_types=types, strings_can_be_null=False)


def _copy(reader: pa.csv.CSVStreamingReader, to: BinaryIO) -> None:
    with pa.ipc.new_file(to, reader.schema) as file:
        for batch in reader:
            file.write_batch(batch)


def _frame(table: pa.Table) -> pd.DataFrame:
    made: pd.DataFrame = table.to_pandas()
    return made

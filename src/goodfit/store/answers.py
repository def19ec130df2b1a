"""Rows with a model's answers beside them, written part by part in the format that they came in."""

from __future__ import annotations

import gzip
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from goodfit.data.row_files import Format
from goodfit.errors import UserError


class Answers(ABC):
    """A file to which rows and answers are added; closed, it is whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self._columns: list[Any] | None = None

    @abstractmethod
    def add(self, rows: pd.DataFrame, answers: pd.DataFrame) -> None:
        """Rows (N, columns) as they were given, beside answers (N, columns) with other names.

        An answer that is missing stays empty.
        """

    def beside(self, rows: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        """Rows and answers (N, columns) as one table with the columns of those before it.

        Raises:
            UserError: it has others, which lines of JSON may have.
        """
        table = pd.concat([rows, answers], axis=1)
        columns = self._columns = self._columns or list(table)
        if list(table) != columns:
            new = next((name for name in table if name not in columns), None)
            raise UserError(
                f"the rows have a column '{new}' that the first ones lack, and the answers "
                "have the columns of those; write JSON lines: --out <file>.jsonl"
            )
        return table

    def close(self) -> None:
        """Nothing is added any more; the stream that was given stays open."""
        if isinstance(self.stream, gzip.GzipFile):
            self.stream.close()


class CsvAnswers(Answers):
    """Cells as they were written, cut as the rows were where these are of a CSV file."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._header = True

    def add(self, rows: pd.DataFrame, answers: pd.DataFrame) -> None:
        written = answers.copy(deep=False)
        for name in answers:
            if answers[name].dtype == object:  # of which a cell may be a list
                written[name] = answers[name].map(_cell)
        table = self.beside(rows, written)
        separator = rows.attrs.get("separator", ",")
        if self._header:
            self.stream.write(_csv(table.iloc[:0], separator, header=True))
            self._header = False
        plain = _plain_csv(table, separator)
        self.stream.write(_csv(table, separator) if plain is None else plain)


class JsonAnswers(Answers):
    """One object a line; what is missing is null."""

    def add(self, rows: pd.DataFrame, answers: pd.DataFrame) -> None:
        table = pd.concat([rows, answers], axis=1)
        for record in table.to_dict("records"):
            line = json.dumps(_json(record), ensure_ascii=False, allow_nan=False)
            self.stream.write(line.encode() + b"\n")


class ParquetAnswers(Answers):
    """Columns of the types that the rows have."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._writer: pq.ParquetWriter | pa.RecordBatchWriter | None = None
        # tables without an answer, before one that tells the types of answers
        self._waiting: list[pd.DataFrame] = []

    def add(self, rows: pd.DataFrame, answers: pd.DataFrame) -> None:
        self._waiting.append(self.beside(rows, answers))
        if self._writer is not None or not answers.isna().all(axis=None):
            self._write()

    def close(self) -> None:
        if self._waiting:
            self._write()
        if self._writer is not None:
            self._writer.close()
        super().close()

    def _write(self) -> None:
        """Those that wait, with the types of the last of them.

        Raises:
            UserError: rows are of other types than those before.
        """
        waiting, self._waiting = self._waiting, []
        try:
            if self._writer is None:
                self._schema = pa.Schema.from_pandas(waiting[-1], preserve_index=False)
                self._writer = self._opened(self._schema)
            for table in waiting:
                columns = pa.Table.from_pandas(table, self._schema, preserve_index=False)
                self._writer.write_table(columns)
        except (pa.ArrowException, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"the rows have no columns of one type each ({reason}); write CSV or JSON lines"
            ) from None

    def _opened(self, schema: pa.Schema) -> pq.ParquetWriter | pa.RecordBatchWriter:
        return pq.ParquetWriter(self.stream, schema)


class ArrowAnswers(ParquetAnswers):
    """The same in Arrow's own file, which other programs call Feather."""

    def _opened(self, schema: pa.Schema) -> pa.RecordBatchWriter:
        return pa.ipc.new_file(self.stream, schema)


_WRITERS: Mapping[Format, type[Answers]] = {
    "csv": CsvAnswers,
    "jsonl": JsonAnswers,
    "parquet": ParquetAnswers,
    "arrow": ArrowAnswers,
}


def opened(stream: BinaryIO, name: str, form: Format) -> Answers:
    """Answers to a stream; compressed where its name ends with .gz."""
    compressed = name.lower().endswith(".gz")
    # without a date: equal answers are equal bytes
    packed = gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) if compressed else stream
    return _WRITERS[form](cast(BinaryIO, packed))


def _csv(table: pd.DataFrame, separator: str, *, header: bool = False) -> bytes:
    """The rows (N, columns) as text, with quotes around the cells that need them."""
    made: str = table.to_csv(sep=separator, index=False, header=header, lineterminator="\n")
    return made.encode()


def _plain_csv(table: pd.DataFrame, separator: str) -> bytes | None:
    """The same in a quarter of the time; None where a cell needs quotes, or is of another type."""
    columns = []
    for place in range(table.shape[1]):  # two columns may lack a name
        cells = table.iloc[:, place]
        if isinstance(cells.dtype, pd.StringDtype):
            columns.append(pa.array(cells.array))
        elif cells.dtype == np.float64:
            values = cells.tolist()
            numbers = [None if number != number else repr(number) for number in values]
            columns.append(pa.array(numbers, pa.string()))
        else:
            return None
    if len(columns) < 2:  # a row of one empty cell would be a blank line
        return None
    options = pa.csv.WriteOptions(include_header=False, delimiter=separator, quoting_style="none")
    stream = pa.BufferOutputStream()
    try:
        pa.csv.write_csv(pa.table(columns, list(map(str, range(len(columns))))), stream, options)
    except pa.ArrowInvalid:
        return None
    return bytes(stream.getvalue())


def _cell(value: Any) -> Any:
    """A list, such as of boxes, as JSON: a cell of CSV is a text."""
    if isinstance(value, list | np.ndarray):
        return json.dumps(_json(list(value)))
    return value


def _json(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(name): _json(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_json(part) for part in value]
    if pd.isna(value) or value in (np.inf, -np.inf):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float | bool) else str(value)

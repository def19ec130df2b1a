"""Files of rows as people keep them: CSV, Parquet and JSON lines, read a part at a time."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TextIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from goodfit.data import delimited
from goodfit.errors import UserError

Format = Literal["csv", "parquet", "jsonl"]
ENDINGS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_HEAD = 200  # lines of a CSV file that tell its separator


class Part(NamedTuple):
    """Some rows of a file (N, columns), and the number of the line or row that each of them has.

    `place` names the file and says which of both. Where each row is a file of its own, `content`
    is the column of its bytes.
    """

    rows: pd.DataFrame
    numbers: list[int]
    place: str
    content: str | None = None

    def where(self, row: int) -> str:
        """The row, for a message: by its number, or by the name of the file that it is."""
        name = self.rows["file"].iloc[row] if self.content else self.numbers[row]
        return f"{self.place} {name}"


def format_of(path: Path) -> Format:
    """By the ending of the name, before `.gz` where it has that.

    Raises:
        UserError: no format has that ending.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending not in ENDINGS:
        raise UserError(f"{path}: expected a file that ends with {', '.join(ENDINGS)} or .gz")
    return ENDINGS[ending]


def parts(name: str, stream: BinaryIO, form: Format, size: int) -> Generator[Part, None, None]:
    """The rows of a file that `name` calls, `size` at a time; at least one part, maybe empty.

    Cells of a CSV file are texts, as they are written; its separator is an attribute of the rows.
    Values of JSON are as JSON has them, those of Parquet of Arrow's types.

    Raises:
        UserError: the file is not what its format says.
    """
    compressed = name.lower().endswith(".gz")
    opened = cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if compressed else stream
    try:
        yield from _READERS[form](name, opened, size)
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 ({error.reason}); save it as UTF-8") from None
    except (EOFError, gzip.BadGzipFile, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name} cannot be read as {form}: {reason}") from None


def _csv(name: str, stream: BinaryIO, size: int) -> Iterator[Part]:
    # the mark of byte order is taken off below: what reads it here runs Python for each line
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        yield from _csv_rows(name, text, size)
    finally:
        text.detach()  # whoever opened the stream closes it


def _csv_rows(name: str, text: TextIO, size: int) -> Iterator[Part]:
    head = list(islice(text, _HEAD))
    head[:1] = [line.removeprefix("\ufeff") for line in head[:1]]
    start = "".join(head)
    separator = delimited.found_separator(start)
    reader = csv.reader(
        chain(head, text),
        delimiter=separator,
        skipinitialspace=delimited.has_spaces_before_quotes(start, separator),
    )
    header = next(reader, [])
    if not header:
        raise UserError(f"{name} is empty")
    delimited.check_header(name, header)

    first = True
    while True:
        rows, numbers = [], []
        for row in reader:
            if not any(row):
                continue  # a blank line
            if len(row) > len(header):
                raise UserError(
                    f"{name}, line {reader.line_num} has {len(row)} cells, the header {len(header)}"
                )
            short = len(header) - len(row)
            rows.append(row + [""] * short if short else row)
            numbers.append(reader.line_num)
            if len(rows) == size:
                break
        if rows or first:
            table = pd.DataFrame(rows, columns=header, dtype=str)
            table.attrs = {"separator": separator}
            yield Part(table, numbers, f"{name}, line")
        if len(rows) < size:
            return
        first = False


def _parquet(name: str, stream: BinaryIO, size: int) -> Iterator[Part]:
    # what is where stands at the end of the file, which a pipe cannot be asked for first
    file = pq.ParquetFile(stream if stream.seekable() else io.BytesIO(stream.read()))
    done = 0
    if not file.metadata.num_rows:
        yield Part(_typed(file.schema_arrow.empty_table()), [], name)
    for batch in file.iter_batches(batch_size=size):
        numbers = list(range(done + 1, done + len(batch) + 1))
        yield Part(_typed(batch), numbers, f"{name}, row")
        done += len(batch)


def _typed(batch: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """A number stays whole where others of its column are missing, as pandas's own would not."""
    table: pd.DataFrame = batch.to_pandas(types_mapper=pd.ArrowDtype)
    return table


def _jsonl(name: str, stream: BinaryIO, size: int) -> Iterator[Part]:
    lines = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
    first = True
    while True:
        some = list(islice(lines, size))
        if some or first:
            objects = [_object(name, number, line) for number, line in some]
            numbers = [number for number, _ in some]
            yield Part(pd.DataFrame(objects, dtype=object), numbers, f"{name}, line")
        if len(some) < size:
            return
        first = False


def _object(name: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise UserError(f"{name}, line {number} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{name}, line {number}: expected an object, {{...}}, got {content!r}")
    return content


_READERS: Mapping[Format, Callable[[str, BinaryIO, int], Iterator[Part]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "jsonl": _jsonl,
}

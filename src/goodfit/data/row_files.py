"""Files of rows as people keep them: CSV, Parquet, Arrow and JSON lines, read a part at a time."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TextIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from goodfit.data import csv_rows, delimited, plain_csv
from goodfit.data.encodings import UTF8, Encoding, as_utf8
from goodfit.data.faults import shown
from goodfit.errors import UserError

Format = Literal["csv", "parquet", "arrow", "jsonl"]
ENDINGS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_HEAD = 200  # lines of a CSV file that tell its separator


class Part(NamedTuple):
    """Some rows of a file (N, columns), and the number of the line or row that each of them has.

    `place` names the file and says which of both. Where each row is a file of its own, `content`
    is the column of its bytes. `broken` says by its place what is wrong with a row that cannot be
    read: its cells are what could be, and the others are missing.
    """

    rows: pd.DataFrame
    numbers: list[int]
    place: str
    content: str | None = None
    broken: Mapping[int, str] = {}

    def where(self, row: int) -> str:
        """The row, for a message: by its number, or by the name of the file that it is."""
        name = self.rows["file"].iloc[row] if self.content else self.numbers[row]
        return f"{self.place} {name}"


def is_index(name: str) -> bool:
    """Whether a column is the numbers of rows, which pandas writes beside them."""
    return name.startswith("__index_level_")


def format_of(path: Path) -> Format:
    """By the ending of the name, before `.gz` where it has that.

    Raises:
        UserError: no format has that ending.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending not in ENDINGS:
        raise UserError(f"{path}: expected a file that ends with {', '.join(ENDINGS)} or .gz")
    return ENDINGS[ending]


def parts(
    name: str, stream: BinaryIO, form: Format, size: int, encoding: Encoding = UTF8
) -> Generator[Part, None, None]:
    """The rows of a file that `name` calls, `size` at a time; at least one part, maybe empty.

    Cells of a CSV file are texts, as they are written; its separator is an attribute of the rows.
    Values of JSON are as JSON has them, those of Parquet and Arrow of Arrow's types. A part has
    the columns of those before it. `encoding` is what the user says of a text.

    Raises:
        UserError: the file is not what its format says, or no row of its first part can be read.
    """
    compressed = name.lower().endswith(".gz")
    opened = cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if compressed else stream
    if encoding.is_another:
        opened = as_utf8(name, opened, encoding)
    try:
        for number, part in enumerate(_READERS[form](name, opened, size)):
            if number == 0 and part.broken and len(part.broken) == len(part.rows):
                raise UserError(_nothing(part))
            yield part
    except UnicodeDecodeError as error:
        if error.encoding.startswith("utf-16"):
            raise UserError(f"{name} begins as UTF-16 and is none; save it as UTF-8") from None
        other = delimited.other_kind(error.object)
        what = f", but {other}" if other else f" ({error.reason})"
        how = "save it as UTF-8" if other else encoding.advice
        raise UserError(f"{name} is not UTF-8{what}; {how}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name} cannot be read as {form}: {reason}") from None


def _nothing(part: Part) -> str:
    """What is wrong with the first row, and that no other can be read."""
    count = len(part.broken)
    others = f"; none of the first {count:,} rows can be read" if count > 1 else ""
    return f"{part.where(0)} {part.broken[0]}{others}"


@contextmanager
def _text(stream: BinaryIO, line_end: Literal["", "\n"]) -> Iterator[TextIO]:
    """A stream as the text that it is by its first bytes, UTF-8 or UTF-16, with its own line ends.

    Its lines end as `line_end` says, "" for all ways. A mark of UTF-8 is left in it: what takes it
    off runs Python for each line.
    """
    buffered = io.BufferedReader(cast(io.RawIOBase, stream))
    encoding = delimited.encoding_of(buffered.peek(2)).removesuffix("-sig")
    text = io.TextIOWrapper(buffered, encoding=encoding, newline=line_end)
    try:
        yield text
    finally:
        text.detach()  # whoever opened the stream closes it
        buffered.detach()


def _csv(name: str, stream: BinaryIO, size: int) -> Iterator[Part]:
    with _text(stream, "") as text:
        yield from _csv_parts(name, text, size)


def _csv_parts(name: str, text: TextIO, size: int) -> Iterator[Part]:
    head = list(islice(text, _HEAD))
    head[:1] = [line.removeprefix("\ufeff") for line in head[:1]]
    start = "".join(head)
    separator, above = delimited.beginning(name, start)
    spaced = delimited.has_spaces_before_quotes(start, separator)
    coming = chain(head[above:], text)
    # what a quote in the header's line opens, the next one may close
    is_plain = '"' not in "".join(head[above : above + 1]) and not spaced
    begin = islice(coming, 1) if is_plain else coming
    rows = csv_rows.rows(begin, separator, spaced=spaced, above=above)
    header, line, problem = next(rows, ([], 1, ""))
    if not header:
        raise UserError(f"{name} is empty")
    if problem:
        raise UserError(f"{name}, line {line} {problem}")
    delimited.check_header(name, header)

    first = True
    while is_plain:
        some = list(islice(coming, size))
        plain = plain_csv.rows(some, len(header), separator)
        if plain is None:  # nor may be what follows: a quote opens what a later line closes
            rows = csv_rows.rows(chain(some, coming), separator, spaced=spaced, above=line)
            break
        plain.columns = pd.Index(header)
        plain.attrs = {"separator": separator}
        yield Part(plain, list(range(line + 1, line + 1 + len(some))), f"{name}, line")
        line, first = line + len(some), False
    while True:
        cells, numbers, broken = _csv_cells(rows, len(header), size)
        if cells or first:
            table = pd.DataFrame(cells, columns=header, dtype=str)
            table.attrs = {"separator": separator}
            yield Part(table, numbers, f"{name}, line", broken=broken)
        if len(cells) < size:
            return
        first = False


def _csv_cells(
    rows: Iterator[csv_rows.Row], width: int, size: int
) -> tuple[list[list[str]], list[int], dict[int, str]]:
    """The next rows (`size`, `width`), the line of each, and what is wrong with some.

    A row of empty cells is one: whoever asks gets an answer for each row, while training leaves
    such rows out. A blank line is none, but where it is all that a row of one cell can be.
    """
    cells: list[list[str]] = []
    numbers: list[int] = []
    broken: dict[int, str] = {}
    for row, line, problem in rows:
        if not row and width > 1 and not problem:
            continue
        count = len(row)
        if count != width:
            if count > width and not problem:
                problem = f"has {count} cells, the header {width}"
            row = row[:width] + [""] * (width - count)
        if problem:
            broken[len(cells)] = problem
        cells.append(row)
        numbers.append(line)
        if len(cells) == size:
            break
    return cells, numbers, broken


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


def _arrow(name: str, stream: BinaryIO, size: int) -> Iterator[Part]:
    # a file has its table of contents at its end, as Parquet; a stream has none
    source = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        file = pa.ipc.open_file(source)
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
    except pa.ArrowInvalid:
        source.seek(0)
        file = pa.ipc.open_stream(source)
        batches = iter(file)
    done = 0
    for batch in batches:
        for first in range(0, len(batch), size):
            some = batch.slice(first, size)
            numbers = list(range(done + 1, done + len(some) + 1))
            yield Part(_typed(some), numbers, f"{name}, row")
            done += len(some)
    if not done:
        yield Part(_typed(file.schema.empty_table()), [], name)


def _typed(batch: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """A number stays whole where others of its column are missing, as pandas's own would not.

    Names that pandas gave to rows are a column, as in training; their numbers are none.
    """
    table: pd.DataFrame = batch.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return table.drop(columns=[name for name in table if is_index(str(name))])


def _jsonl(name: str, stream: BinaryIO, size: int) -> Iterator[Part]:
    with _text(stream, "\n") as text:
        yield from _jsonl_parts(name, text, size)


def _jsonl_parts(name: str, text: TextIO, size: int) -> Iterator[Part]:
    lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
    columns: dict[Any, None] = {}
    first = True
    while True:
        some = list(islice(lines, size))
        if some or first:
            objects, broken = [], {}
            for place, (_, line) in enumerate(some):
                content, problem = _object(line)
                objects.append(content)
                columns |= dict.fromkeys(content)
                if problem:
                    broken[place] = problem
            numbers = [number for number, _ in some]
            rows = pd.DataFrame(objects, pd.RangeIndex(len(some)), list(columns), dtype=object)
            yield Part(rows, numbers, f"{name}, line", broken=broken)
        if len(some) < size:
            return
        first = False


def _object(line: str) -> tuple[dict[str, Any], str]:
    """What a line says, and what is wrong with it, "" where nothing is."""
    try:
        content = json.loads(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        return {}, f"is no JSON: {error}"
    if not isinstance(content, dict):
        return {}, f"is {shown(content)}, expected an object, {{...}}"
    return content, ""


_READERS: Mapping[Format, Callable[[str, BinaryIO, int], Iterator[Part]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "arrow": _arrow,
    "jsonl": _jsonl,
}

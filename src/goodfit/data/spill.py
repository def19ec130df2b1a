"""Columns of a table that memory need not hold: they lie in files, which are mapped.

Pages of a mapped file are the kernel's: it reads them when they are asked for, and gives them up
when memory runs short.

Letters: N rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa

Array = np.ndarray[Any, Any]
HELD = 64 * 2**20  # bytes of a table that stay in memory


class Spill:
    """Takes columns (N,) and gives equal ones: the first 64 MB as they are, others from files.

    The files are in `folder`, without a name, so that nothing is left of them however the process
    ends; without a folder all stay in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._held = 0

    def holds(self, size: int) -> bool:
        """Whether so many bytes more stay in memory, which they then count for."""
        if self.folder is not None and self._held + size > HELD:
            return False
        self._held += size
        return True

    def mapped(self, write: Callable[[BinaryIO], None]) -> pa.MemoryMappedFile:
        """What `write` writes to a file, mapped.

        Raises:
            AssertionError: there is no folder.
        """
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".columns-") as stream:
            write(cast(BinaryIO, stream))
            stream.flush()
            return pa.memory_map(stream.name)

    def column(self, values: pd.Series[Any]) -> pd.Series[Any]:
        """An equal column (N,), of floats, moments or texts; others stay in memory."""
        kind = values.dtype
        is_text = isinstance(kind, pd.StringDtype)
        if not (is_text or (isinstance(kind, np.dtype) and kind.kind in "fM")):
            return values
        if self.holds(int(values.memory_usage(index=False))):
            return values
        if is_text:
            return self._texts(values)
        array = np.ascontiguousarray(values.to_numpy())
        with self.mapped(lambda stream: array.tofile(stream)) as file:
            size = file.size()
            known = np.frombuffer(file.read_buffer(size), array.dtype)
        return pd.Series(known, values.index, name=values.name, copy=False)

    def _texts(self, values: pd.Series[Any]) -> pd.Series[Any]:
        array = pa.array(values.array)
        chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
        table = pa.table({"texts": chunks.combine_chunks()})

        def write(stream: BinaryIO) -> None:
            with pa.ipc.new_file(stream, table.schema) as file:
                file.write_table(table)

        read = pa.ipc.open_file(self.mapped(write)).read_all()
        made: pd.Series[Any] = read.to_pandas()["texts"]
        made.index = values.index
        made.name = values.name
        return made

    def table(self, columns: Iterable[pd.Series[Any]]) -> pd.DataFrame:
        """A table of columns (N,) that have one index, taken one after the other."""
        kept: dict[Hashable, pd.Series[Any]] = {}
        for column in columns:
            kept[column.name] = self.column(column)
        return pd.DataFrame(kept, copy=False)

    def taken(self, rows: pd.DataFrame, wanted: Array) -> pd.DataFrame:
        """The rows of a table that are `wanted` (N,), as `rows[wanted]`."""
        if self.folder is None or rows.memory_usage().sum() <= HELD:
            return rows[wanted]
        places = np.flatnonzero(wanted)
        index = rows.index[places]
        made = self.table(
            pd.Series(rows[name].array.take(places), index, name=name, copy=False) for name in rows
        )
        made.attrs = rows.attrs
        return made

"""What a loop over the cells of a column would say, of whole columns where their cells are plain.

Of a million cells a loop takes a second. Plain is what programs write: "12", "-0.5". All else goes
to pandas, a part at a time, so that no list of a whole column is made.

Letters: N cells of a column.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Array = np.ndarray[Any, Any]
Cells = pd.Series  # of texts
_FEW = 1000
_PART = 65_536  # cells that are made Python's objects at once
_LAST_LETTER = 127 - 33  # of those of one byte that are no spaces, from "!" on
_MOST_LETTERS = 15  # of a number that is no code
_CODE = r"[+-]?0\d+|\+[\d .()/-]{7,}"
_MANY_DIGITS = r"\d{16,}"
CODE, MANY_DIGITS = re.compile(_CODE), re.compile(_MANY_DIGITS)


@dataclass(frozen=True, eq=False)
class Counted:
    """The different texts (K,) of a column, the first one first, and how many cells have each."""

    texts: Cells
    counts: Array

    @property
    def cells(self) -> int:
        """N, how many cells were counted."""
        return int(self.counts.sum())

    @property
    def all_differ(self) -> bool:
        """Whether no text is there twice."""
        return self.cells == len(self.texts)

    @cached_property
    def are_finite(self) -> bool:
        """Whether every cell is a finite number as programs write it."""
        return are_finite(self.texts)

    def where(self, wanted: Array) -> Counted:
        """Those of the texts that are `wanted` (K,)."""
        return Counted(self.texts[wanted], self.counts[wanted])

    def times(self) -> Counter[str]:
        """How many cells have each text, for a loop over them."""
        return Counter(dict(zip(self.texts, self.counts.tolist(), strict=True)))


def counted(cells: Cells) -> Counted:
    """The different texts of a column (N,): what one of them says, all of its cells say."""
    counts = cells.value_counts(sort=False, dropna=False)
    return Counted(pd.Series(counts.index.array, name=cells.name), counts.to_numpy(np.int64))


def texts(cells: Cells) -> pa.ChunkedArray | None:
    """The cells (N,) as Arrow has them; None where they are no column of texts."""
    if not isinstance(cells.dtype, pd.StringDtype):
        return None
    array = pa.array(cells.array)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def may_have_spaces(cells: Cells) -> bool:
    """Whether a text of the cells (N,) may hold a space of any kind: by bytes up to 32 or from 128.

    Of numbers none does, which their bytes tell in a fifth of the time of a look at each cell.
    """
    column = texts(cells)
    if column is None:
        return True
    for chunk in column.chunks:
        _, offsets, content = chunk.buffers()
        if content is None:
            continue
        kind = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
        ends = np.frombuffer(offsets, kind)[[chunk.offset, chunk.offset + len(chunk)]]
        letters = np.frombuffer(content, np.uint8)[slice(*ends)]
        # one comparison for both: what is below 33 is above 222 then
        if len(letters) and (letters - np.uint8(33)).max() > _LAST_LETTER:
            return True
    return False


def are_finite(cells: Cells) -> bool:
    """Whether every cell (N,) is a finite number as programs write it."""
    column = texts(cells)
    known = None if column is None else _cast(column)
    if known is not None:
        return bool(np.isfinite(known).all())
    # where some are none, the first ones mostly tell
    return all(np.isfinite(numbers(some)).all() for some in (cells.iloc[:_FEW], cells))


def numbers(cells: Cells) -> Array:
    """The cells (N,) as floats, NaN where they are none: those of `pandas.to_numeric`.

    Of "-0" pandas makes 0, or -0 where a cell has decimals; so does this.
    """
    column = texts(cells)
    known = _by_pandas(cells) if column is None else _of_texts(cells, column)
    if not np.signbit(known[known == 0]).any():
        return known
    has_decimals = column is not None and pc.any(pc.match_substring(column, ".")).as_py()
    return known if has_decimals else known + 0.0


def _of_texts(cells: Cells, column: pa.ChunkedArray) -> Array:
    known = _cast(column)
    return _mixed(cells, column) if known is None else known


def _mixed(cells: Cells, column: pa.ChunkedArray) -> Array:
    """Plain numbers (N,) at once, the others by pandas."""
    form = pc.match_substring_regex(column, r"^-?(?:\d+\.?\d*|\.\d+)$")
    plain = pc.fill_null(form, False)
    known = _cast(pc.if_else(plain, column, pa.scalar(None, column.type)))
    assert known is not None
    known = known.copy()
    others = ~plain.to_numpy()
    if others.any():
        known[others] = _by_pandas(cells[others])
    return known


def _by_pandas(cells: Cells) -> Array:
    known = np.empty(len(cells))
    for first in range(0, len(cells), _PART):
        part = cells.iloc[first : first + _PART]
        known[first : first + _PART] = pd.to_numeric(part, errors="coerce").to_numpy(float)
    return known


def _cast(column: pa.ChunkedArray) -> Array | None:
    """Floats (N,) where Arrow takes every cell for one, or for missing."""
    try:
        known: Array = pc.cast(column, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return known


def codes(cells: Counted) -> tuple[int, bool]:
    """How many cells are 16 digits or more, and whether one has the form of a code."""
    column = texts(cells.texts)
    # Python's digits are those of all scripts
    if column is None or not pc.all(pc.string_is_ascii(column)).as_py():
        times = cells.times()
        many = sum(count for cell, count in times.items() if MANY_DIGITS.fullmatch(cell))
        return many, any(map(CODE.fullmatch, times))
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    many = 0
    if longest > _MOST_LETTERS:
        found = pc.match_substring_regex(column, f"^(?:{_MANY_DIGITS})$")
        many = int(cells.counts[found.to_numpy().astype(bool)].sum())
    return many, bool(pc.any(pc.match_substring_regex(column, f"^(?:{_CODE})$")).as_py())

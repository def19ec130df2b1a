"""Rows as 16 bytes each, equal where the rows are: computed for many rows at once.

A hash of each row by a loop takes two seconds for a million of them. Not for hiding anything:
whoever wants to can make two rows that collide.

Letters: N rows, W words of eight bytes of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]
SIZE = 16  # of 10^9 rows two different ones are equal with a probability of 10^-21
_AT_ONCE = 2**18  # bytes that are mixed together, while the processor's cache holds them
# of MurmurHash3's finalizer, by which every bit of a word changes half of all others
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_NOTHING = np.uint64(0x7FF8_0000_0000_0000)  # one of the many that mean NaN


def of_bytes(content: bytes) -> bytes:
    """The digest of any content; what has the size of a digest stands for itself."""
    if len(content) == SIZE:
        return content
    return hashlib.blake2b(content, digest_size=SIZE).digest()


def of_each(contents: Sequence[bytes]) -> bytes:
    """The digests of contents, one behind the other."""
    are_digests = set(map(len, contents)) == {SIZE}
    return b"".join(contents if are_digests else map(of_bytes, contents))


def of_columns(columns: Iterable[pd.Series[Any]]) -> Array:
    """A digest of each row (N, 16) of columns of floats, moments or texts (N,)."""
    total: Array | None = None
    place = 0
    for column in columns:
        words = _words(column)
        part = _sums(words, place)
        total = part if total is None else total + part
        place += words.shape[1]
    assert total is not None
    return total.view(np.uint8)


def of_arrays(arrays: Sequence[Array]) -> Array:
    """A digest of each sample (N, 16) of arrays (N, ...), whose other sizes are the same for all.

    Of inputs with several arrays all count.
    """
    total = np.zeros((len(arrays[0]), 2), np.uint64)
    place = 0
    for array in arrays:
        width = int(np.prod(array.shape[1:])) * array.itemsize
        size = max(1, _AT_ONCE // max(width, 1))
        for first in range(0, len(array), size):
            part = array[first : first + size]
            total[first : first + size] += _sums(_padded(part, width).view(np.uint64), place)
        place += -(-width // 8)
    return total.view(np.uint8)


def _padded(array: Array, width: int) -> Array:
    """The bytes (N, 8 W) of samples (N, ...) that have `width` bytes each."""
    flat = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
    if width % 8 == 0:
        return flat
    padded = np.zeros((len(flat), -(-width // 8) * 8), np.uint8)
    padded[:, :width] = flat
    return padded


def as_list(digests: Array) -> list[bytes]:
    """Digests (N, 16) one by one."""
    rows: list[bytes] = np.ascontiguousarray(digests).view(f"V{SIZE}").ravel().tolist()
    return rows


def numbered(digests: Array) -> Array:
    """The number (N,) of each row's digest (N, 16), in the order in which they first appear."""
    lane = _lanes(digests)[:, 0]
    # mostly few are there twice, and sorting finds them in a tenth of the time of a table of all
    some = np.flatnonzero(are_repeated(lane))
    first, second = (pd.factorize(each)[0] for each in _lanes(digests[some]).T)
    both = pd.factorize(first * (second.max(initial=0) + 1) + second)[0]
    # each row stands for itself, or the first one of its digest does
    stands = np.arange(len(lane))
    _, earliest = np.unique(both, return_index=True)
    stands[some] = some[earliest[both]]
    are_first: Array = stands == np.arange(len(lane))
    numbers: Array = (are_first.cumsum() - 1)[stands]
    return numbers


def in_both(digests: Array, others: Array) -> int:
    """How many of the digests (N, 16) are among `others`."""
    ours, theirs = _lanes(digests)[:, 0], _lanes(others)[:, 0]
    alike = are_in(ours, theirs)
    if not alike.any():
        return 0
    known = set(as_list(others[are_in(theirs, ours[alike])]))
    return sum(digest in known for digest in as_list(digests[alike]))


def are_repeated(values: Array) -> Array:
    """Which of the values (N,) are there more than once."""
    ordered = np.sort(values)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return are_in(values, twice) if len(twice) else np.zeros(len(values), bool)


def are_in(values: Array, others: Array) -> Array:
    """Which of the values (N,) are among the others (M,).

    Both are sorted, so that a search goes through memory in order: six times as fast.
    """
    found = np.zeros(len(values), bool)
    if not len(others):
        return found
    order, ordered = np.argsort(values), np.sort(others)
    asked = values[order]
    places = np.searchsorted(ordered, asked).clip(max=len(ordered) - 1)
    found[order] = ordered[places] == asked
    return found


def _lanes(digests: Array) -> Array:
    lanes: Array = np.ascontiguousarray(digests).view(np.uint64).reshape(len(digests), 2)
    return lanes


def _words(column: pd.Series[Any]) -> Array:
    """Words (N, W) that tell the cells (N,) of a column apart."""
    if pd.api.types.is_float_dtype(column):
        values = column.to_numpy(np.float64)
        return np.where(np.isnan(values), _NOTHING, values.view(np.uint64))[:, None]
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy("datetime64[us]").view(np.uint64)[:, None]
    places, different = pd.factorize(column)
    # a hash of each text once; what is missing has the place -1
    known = b"".join(of_bytes(b"text" + str(text).encode()) for text in different)
    return np.frombuffer(known + bytes(SIZE), np.uint64).reshape(-1, 2)[places]


def _sums(words: Array, place: int) -> Array:
    """Two sums (N, 2) of the mixed words (N, W), the first of which is the word `place` of a row.

    Each word has multipliers of its own, so that another order is another sum.
    """
    mixed = words ^ (words >> _SHIFT)
    mixed *= _FIRST
    mixed ^= mixed >> _SHIFT
    mixed *= _SECOND
    mixed ^= mixed >> _SHIFT
    weights = np.random.default_rng(place).integers(0, 2**63, (words.shape[1], 2), np.uint64)
    sums: Array = mixed @ (2 * weights + np.uint64(1))
    return sums

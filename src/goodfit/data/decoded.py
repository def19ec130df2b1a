"""Decoded files on disk, a chunk of rows in a file each: what is there is not decoded again.

Letters: B rows of a chunk, D the numbers of a digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from goodfit.system.files import sha256

Array = np.ndarray[Any, Any]
DECODED = "decoded"  # the name under which `DataSet.load` finds the folder among the raw files


@dataclass(frozen=True)
class Chunk:
    """What came of B files: their arrays (B, ...), zeros where `problems` says what is wrong.

    `digests` tells equal files from others: one of each file's bytes.
    """

    arrays: Array
    problems: dict[int, str]
    digests: list[str]


def write(folder: Path, number: int, chunk: Chunk) -> None:
    """The chunk, and what is known of it with a hash of both.

    Nothing waits for the disk, which would take longer than decoding: `is_whole` looks at the hash.
    """
    with _arrays(folder, number).open("wb") as stream:
        np.save(stream, chunk.arrays)
    problems = {str(place): problem for place, problem in chunk.problems.items()}
    content = {
        "sha256": sha256(_arrays(folder, number)),
        "problems": problems,
        "digests": chunk.digests,
    }
    part = _facts(folder, number).with_suffix(".part")
    part.write_text(json.dumps(content))
    part.replace(_facts(folder, number))


def is_whole(folder: Path, number: int) -> bool:
    """Whether the chunk is there, as it was written."""
    try:
        expected: str = json.loads(_facts(folder, number).read_text())["sha256"]
        return sha256(_arrays(folder, number)) == expected
    except (OSError, ValueError):  # not there, or cut when the machine lost its power
        return False


def facts(folder: Path, number: int) -> tuple[dict[int, str], list[str]]:
    """The problems and the digests of a chunk."""
    content = json.loads(_facts(folder, number).read_text())
    problems = {int(place): problem for place, problem in content["problems"].items()}
    return problems, content["digests"]


def cells(folder: Path, rows: Iterable[int], chunk: int) -> Iterator[Array]:
    """The array of each of `rows` (B,), which were decoded `chunk` rows at a time."""
    for number, some in groupby(rows, lambda row: row // chunk):
        arrays = _mapped(_arrays(folder, number))
        for row in some:
            yield arrays[row % chunk].copy()


def forget() -> None:
    """Files of the same names are read anew."""
    _mapped.cache_clear()


@lru_cache(maxsize=16)  # each is an open file; rows come in their order
def _mapped(path: Path) -> Array:
    mapped: Array = np.load(path, mmap_mode="r")
    return mapped.view(np.ndarray)  # a slice of a memmap takes 10 µs, as long as the copy


def _arrays(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.npy"


def _facts(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.json"

"""Prepared data are what prepare wrote, or are refused: the manifest has the hash of each file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from goodfit.errors import UserError
from goodfit.records import Manifest
from goodfit.system.files import sha256

RAW_ROW = "raw_row"  # the column of rows.parquet that the table of the raw file may not have
CLUSTERS = "clusters"  # the name of the file that numbers them, which no array may have
WEIGHTS = "sample_weight"  # of the file that says how much each sample counts, as no array may
OFFSETS = ".offsets"  # ends the name of the file of a ragged array's offsets


def verify(folder: Path, *splits: str) -> Manifest:
    """The manifest of `folder`, whose spec.json and files of `splits` are as they were written.

    NumPy maps an array with flipped bytes without a word, and DVC looks only when it runs. A
    process hashes a file once; the trials of a sweep share that. Files of other splits are not
    opened.

    Raises:
        UserError: a file is missing or holds other bytes.
    """
    manifest = Manifest.read(folder / "manifest.json")
    advice = f"make it again with `make repro ONLY={folder.name}`"
    for name, expected in manifest.files.items():
        if name != "spec.json" and name.partition("/")[0] not in splits:
            continue
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing, though the manifest names it; {advice}")
        state = path.stat()
        if _hash(path.resolve(), state.st_size, state.st_mtime_ns) != expected:
            raise UserError(f"{path} fails its checksum: it is not what prepare wrote; {advice}")
    return manifest


def file_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file in `folder`, by its path there."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            hashes[str(path.relative_to(folder))] = sha256(path)
    return hashes


@cache
def _hash(path: Path, _size: int, _modified: int) -> str:
    """Size and time are keys of the cache: a file that was written again is hashed again."""
    return sha256(path)

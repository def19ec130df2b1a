"""Files that are either whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from goodfit.errors import UserError


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path, which becomes `path` only if the block ends without an error.

    It is in the same folder: a rename across file systems is a copy, and a copy can be cut
    half-way. With the syncs of file and folder, none of twelve kills left half a checkpoint.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _temporary(path)
    _remove(part)
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        _remove(part)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing_file`, for a folder; the temporary one is empty when the block begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _temporary(path)
    old = path.parent / f".{path.name}.old"
    _remove(part)
    part.mkdir()
    try:
        yield part
        for file in sorted(part.rglob("*")):
            _sync(file)

        # a folder cannot be replaced in one call: the old one steps aside whole, then goes
        if path.is_dir():
            _remove(old)
            path.replace(old)
        part.replace(path)
        _sync(path.parent)
    finally:
        _remove(part)
        if old.exists() and not path.exists():  # ended between the two renames
            old.replace(path)
        _remove(old)


def write_text(path: Path, text: str) -> None:
    """A reader, also one after a power cut, finds the old content or `text`, never a mixture."""
    with replacing_file(path) as part:
        part.write_text(text)


def write_json(path: Path, content: Any) -> None:
    """JSON with sorted keys: equal contents are equal bytes.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: the file is missing, or is no JSON, as after a cut.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; `dvc repro` makes it") from None
    except ValueError as error:  # of JSON, or of UTF-8
        raise UserError(
            f"{path} is broken ({error}); delete it, `dvc repro` makes it again"
        ) from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def file_lock(lock: Path) -> Iterator[None]:
    """One process at a time is in a block with the same `lock`, an empty file that stays.

    The kernel releases the lock of a process that is killed.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _sync(path: Path) -> None:
    """What was written to a file, or renamed in a folder, outlives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.parent / f".{path.name}.part"

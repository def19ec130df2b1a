"""A folder of somebody's files as one closed archive, and one hash of all names and contents.

The folder is read, never written to, and nothing outside it is read: a link that leads there is
refused.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from goodfit.errors import UserError
from goodfit.system.files import sha256

_BLOCK = 1 << 20  # bytes in memory at once
_LISTED = 10
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip knows: equal files are equal archives
# what systems and tools leave in folders: it changes when somebody looks at the folder
_LEFT_BY_SYSTEMS = {"__MACOSX", "Thumbs.db", "desktop.ini"}


def is_hidden(name: str) -> bool:
    """Whether a file's path in its folder has a part that is hidden, or left there by a system."""
    return any(part.startswith(".") or part in _LEFT_BY_SYSTEMS for part in name.split("/"))


def files(folder: Path) -> list[tuple[str, Path]]:
    """Name and path of each file of a folder and its sub-folders, in the order of the names.

    Hidden files are left out. A link to a file of the same folder is that file.

    Raises:
        UserError: the folder is none, or cannot be read; one or more files are links that lead out
            of it or to folders, are no regular files, or have names that are not UTF-8.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    root = folder.resolve()
    found: list[tuple[str, Path]] = []
    refused: list[str] = []
    for path in _walked(root):
        name = path.relative_to(root).as_posix()
        if is_hidden(name):
            continue
        problem = _problem(path, root)
        if problem:
            refused.append(f"{os.fsencode(name).decode(errors='replace')} {problem}")
        else:
            found.append((name, path))
    if refused:
        listed = "".join(f"\n  {line}" for line in sorted(refused)[:_LISTED])
        more = f"\n  ... and {len(refused) - _LISTED} more" if len(refused) > _LISTED else ""
        raise UserError(
            f"{folder} holds what is no file of it; replace it by files, or delete it:"
            f"{listed}{more}"
        )
    return sorted(found)


def digest(hashes: Iterator[tuple[str, str]]) -> str:
    """One SHA-256 for many files, from the name and the SHA-256 of each, in the names' order.

    It is what `sha256sum` prints of a list that `sha256sum` has written of all files, sorted by
    name: whoever has the folder can check it with nothing else.
    """
    whole = hashlib.sha256()
    for name, file_hash in hashes:
        whole.update(f"{file_hash}  {name}\n".encode())
    return whole.hexdigest()


def folder_digest(folder: Path, show: Callable[[int], None] = lambda done: None) -> str:
    """The digest of a folder; `show` is told how many files are done.

    Raises:
        UserError: as `files`.
    """

    def hashes() -> Iterator[tuple[str, str]]:
        for done, (name, path) in enumerate(files(folder), 1):
            yield name, sha256(path)
            show(done)

    return digest(hashes())


def archive_digest(path: Path) -> str:
    """The digest of a zip that `pack` wrote, from the bytes of its members.

    Raises:
        OSError, zipfile.BadZipFile: it is no zip, or broken.
    """
    with zipfile.ZipFile(path) as archive:

        def hashes() -> Iterator[tuple[str, str]]:
            for name in sorted(archive.namelist()):
                with archive.open(name) as stream:
                    yield name, hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]

        return digest(hashes())


def pack(folder: Path, target: Path, show: Callable[[int], None] = lambda done: None) -> None:
    """Writes all files of a folder into one zip, uncompressed; equal folders give equal zips.

    `show` is told how many files are done.

    Raises:
        UserError: as `files`.
        OSError: a file cannot be read, or there is no room.
    """
    with zipfile.ZipFile(target, "w") as archive:  # stored: images and sounds are compressed
        for done, (name, path) in enumerate(files(folder), 1):
            with path.open("rb") as stream:
                info = zipfile.ZipInfo(name, _EPOCH)
                info.file_size = os.fstat(stream.fileno()).st_size  # tells 4 GB and more
                with archive.open(info, "w") as member:
                    while block := stream.read(_BLOCK):
                        member.write(block)
            show(done)


def _walked(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}")

    for parent, folders, names in os.walk(root, onerror=fail):
        # links to folders are not followed: they may lead out, or round in a circle
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*names, *linked]:
            yield Path(parent, name)


def _problem(path: Path, root: Path) -> str | None:
    """Why a path of a folder is not taken; None where it is."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if path.is_symlink() and not path.exists():
        return "is a link to nothing"
    if path.is_dir():
        return "is a link to a folder"
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return f"is a link to {path.resolve()}, outside of the folder"
    return None if path.is_file() else "is no regular file"

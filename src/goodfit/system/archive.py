"""Archives read where they lie: nothing is extracted to disk, so no member chooses a path.

A wheel or zip, a tar with or without gzip, xz, bzip2 or Zstandard (an npm package is one), and a
Debian package, which is known by its content and not by its name. Of a Debian package the members
are the files that it would install.
"""

from __future__ import annotations

import bz2
import difflib
import gzip
import importlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from goodfit.errors import UserError

_BLOCK = 1 << 20  # bytes in memory at once, where nobody asked for a whole member
_NEAREST = 3  # names in a message
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second where there is no member
_AR = b"!<arch>\n"
_AR_HEADER = 60  # bytes
# of Python 3.14; of the packages zstandard and backports.zstd
_ZSTANDARD = ("compression.zstd", "zstandard", "backports.zstd")
# what a broken or encrypted archive, or a disk, may make of reading; tarfile lets the errors of
# the compression pass
_FAILURES = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class _Member(NamedTuple):
    """A file of an archive, or the name of a `link` to one.

    `content` reads the file, and must be called before the next member is asked for.
    """

    name: str
    content: Callable[[], bytes]
    link: str | None = None


class _Header(tarfile.TarInfo):
    """The header of a member of a tar.

    tarfile takes a broken one, and the end of a file that was cut between two members, for the end
    of the archive: members would be lost without a word.
    """

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class _Slice(io.RawIOBase):
    """`size` bytes of a stream from `start` on, as a stream of their own."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self._stream, self._start, self._size = stream, start, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = origin[whence] + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(self._size - self._position, 0))
        self._stream.seek(self._start + self._position)
        content = self._stream.read(wanted)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file, in the order of the archive; one is in memory at a time.

    Folders are no files, and links in a tar are none: they hold no bytes of their own. A name has
    no ./ at its front.

    Raises:
        UserError: the file cannot be read as an archive, or is broken, though this may be known
            only at its end.
    """
    for item in _members(path):
        if item.link is None:
            yield item.name, _read(path, item)


def file_names(path: Path) -> list[str]:
    """The name of each file, in the order of the archive; see `members`.

    Raises:
        UserError: as `members`; or it holds a link, which would be lost without a word.
    """
    names = []
    for item in _members(path):
        if item.link is not None:
            raise UserError(f"{path.name}: '{item.name}' is a link to '{item.link}'; pack the file")
        names.append(item.name)
    return names


def some_members(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """As `members`, of these names alone: others are not read, where the archive has an index.

    It ends with the last of them.

    Raises:
        UserError: as `members`.
    """
    waiting = set(names)
    with closing(_members(path)) as all_members:
        for item in all_members:
            if not waiting:
                return
            if item.name in waiting and item.link is None:
                waiting.remove(item.name)
                yield item.name, _read(path, item)


def member(path: Path, name: str) -> bytes:
    """The bytes of the file `name` of an archive.

    Raises:
        UserError: the archive has no such file, has a link of this name, or is broken.
    """
    names = []
    with closing(_members(path)) as all_members:
        for item in all_members:
            if item.name == name and item.link is not None:
                raise UserError(f"{path.name}: '{name}' is a link to '{item.link}'; name that file")
            if item.name == name:
                return _read(path, item)
            names.append(item.name)
    raise UserError(f"{path.name} lacks the member '{name}'; {_nearest(name, names)}")


def _members(path: Path) -> Generator[_Member]:
    """The files and links of an archive; every way in which it is broken is a UserError."""
    with _explaining(path), path.open("rb") as stream:
        start = stream.read(len(_AR))
        stream.seek(0)
        if start.startswith(_ZIP):
            yield from _of_zip(stream)
        elif start == _AR:
            yield from _of_tar(_debian_files(stream))
        else:
            yield from _of_tar(stream)


def _read(path: Path, item: _Member) -> bytes:
    with _explaining(path):
        return item.content()


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Whoever has a broken archive is told so in a line; a defect of the program passes."""
    try:
        yield
    except Exception as error:
        name = type(error).__name__
        # by its name: each of the libraries for Zstandard has an error of its own
        if isinstance(error, UserError) or not (
            isinstance(error, _FAILURES) or name == "ZstdError"
        ):
            raise
        reason = " ".join(str(error).split()) or name
        raise UserError(
            f"{path.name} cannot be read as an archive: {reason}; fetch it again"
        ) from error


def _of_zip(stream: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield _Member(info.filename, partial(archive.read, info))


def _of_tar(stream: IO[bytes]) -> Iterator[_Member]:
    with (
        _decompressed(stream) as content,
        tarfile.open(fileobj=content, mode="r:", tarinfo=_Header) as archive,
    ):
        for info in archive:
            name = info.name.removeprefix("./")
            if info.isfile():
                yield _Member(name, partial(_content, archive, info))
            elif info.issym() or info.islnk():
                yield _Member(name, bytes, link=info.linkname)
        # what was read is compared with the checksum at the end of the compressed stream only there
        while content.read(_BLOCK):
            pass


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)
    assert file is not None  # it is a file
    return file.read()


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    """The content of a compressed stream, known by its first bytes; another one as it is."""
    start = stream.read(6)
    stream.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(stream))
    if start == b"\xfd7zXZ\x00":
        return cast(IO[bytes], lzma.open(stream))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(stream))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return _open_zstandard(stream)
    return stream


def _open_zstandard(stream: IO[bytes]) -> IO[bytes]:
    for name in _ZSTANDARD:
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        opened: IO[bytes] = library.open(stream, "rb")
        return opened
    raise UserError(
        "the archive is compressed by Zstandard, which this Python cannot read; "
        "`pip install zstandard` in its environment"
    )


def _debian_files(stream: IO[bytes]) -> IO[bytes]:
    """The tar with a Debian package's files: data.tar, compressed, in an archive of ar (deb(5))."""
    end = stream.seek(0, io.SEEK_END)
    at = len(_AR)
    while at < end:
        stream.seek(at)
        header = stream.read(_AR_HEADER)
        if len(header) < _AR_HEADER or header[58:] != b"`\n":
            raise OSError("a header is cut or broken")
        name, size = header[:16].decode("ascii").rstrip(" /"), int(header[48:58])
        at += _AR_HEADER
        if at + size > end:
            raise OSError(f"{name} is cut: {end - at:,} of {size:,} bytes")
        if name.startswith("data.tar"):
            return io.BufferedReader(_Slice(stream, at, size))
        at += size + size % 2  # each begins at an even byte
    raise OSError("it has no data.tar")


def _nearest(name: str, names: list[str]) -> str:
    """The names most like `name`: files of the same name elsewhere, else those spelt like it."""
    if not names:
        return "it is empty"
    file = PurePosixPath(name).name
    alike = [other for other in names if PurePosixPath(other).name == file]
    alike = alike or difflib.get_close_matches(name, names, _NEAREST)
    if alike:
        return f"nearest: {', '.join(alike[:_NEAREST])}"
    return f"it has {len(names):,}, such as {', '.join(names[:_NEAREST])}"

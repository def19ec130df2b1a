"""What a stream without a name holds, by its first bytes: in which format, compressed or not."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from goodfit.data.delimited import encoding_of
from goodfit.data.row_files import Format
from goodfit.errors import UserError

_GZIP = b"\x1f\x8b"
_OF_FILES = (b"SQLite format 3\0", b"PK\x03\x04")  # a database, a workbook or another archive
_MARK = 64  # bytes that tell a format, behind blank lines
_BLOCK = 2**16  # bytes that are read at once
# how files of a format begin
_BEGINNINGS: Mapping[bytes, Format] = {
    rb"\{\s*(?:[\"}]|$)": "jsonl",
    rb"\[\s*\{": "jsonl",
    rb"PAR1": "parquet",
    rb"ARROW1": "arrow",
    rb"\xff\xff\xff\xff": "arrow",
}


def recognised(stream: BinaryIO) -> tuple[BinaryIO, Format | None]:
    """What a stream holds, unpacked where it is compressed, and its format; None of no known one.

    Raises:
        UserError: it is compressed and broken, or holds what is read from a file alone.
    """
    head = _filled(stream)
    opened: BinaryIO = _Joined(head, stream)
    if head.startswith(_GZIP):
        packed = cast(BinaryIO, gzip.GzipFile(fileobj=opened))
        try:
            head = _filled(packed)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"standard input cannot be unpacked: {error}") from None
        opened = _Joined(head, packed)
    if head.startswith(_OF_FILES):
        raise UserError("standard input is no stream of rows; save it as a file, and name that")
    if encoding_of(head) == "utf-16":
        head = head.decode("utf-16", "ignore").encode()
    begin = head.removeprefix(codecs.BOM_UTF8).lstrip()
    forms = (form for mark, form in _BEGINNINGS.items() if re.match(mark, begin))
    return opened, next(forms, None)


def _filled(stream: BinaryIO) -> bytes:
    """The first bytes of a stream, all that there are of few."""
    head = b""
    while len(head) < _MARK and (more := stream.read(_MARK - len(head))):
        head += more
    return head


class _Joined(io.BufferedReader):
    """A stream whose first bytes were read before."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__(cast(io.RawIOBase, _Behind(head, rest)), _BLOCK)


class _Behind(io.RawIOBase):
    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        some = self.head or self.rest.read(len(target))
        self.head = some[len(target) :] if self.head else b""
        some = some[: len(target)]
        target[: len(some)] = some
        return len(some)

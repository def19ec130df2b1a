"""Texts in another encoding than UTF-8, which a user names: no bytes tell which one it is.

A file of the wrong one would be read without an error, and each of its accents as other letters. So
it is refused where its bytes speak against what was named.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import Any, BinaryIO, NamedTuple, cast

from goodfit.errors import UserError

_MARKS = {
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_CONTROLS = re.compile("[\x80-\x9f]")  # of latin-1, where cp1252 has quotes, dashes and the euro
_OUT = "leave the option out"
_BLOCK = 2**20  # bytes that are read at once


class Encoding(NamedTuple):
    """What a user says of a text's encoding, None for UTF-8, and the `option` that says it."""

    name: str | None
    option: str = "data.encoding="

    @property
    def advice(self) -> str:
        """What may be done about a text that is none of UTF-8."""
        if not self.option:
            return "save it as CSV in UTF-8 (a file of Windows by `iconv -f CP1252 -t UTF-8`)"
        return f"save it in UTF-8, or name its encoding, for Windows mostly {self.option}cp1252"

    @property
    def is_another(self) -> bool:
        """Whether it is another one than UTF-8.

        Raises:
            UserError: Python knows no encoding of that name.
        """
        return self.name is not None and not _known(self).startswith("utf-8")


UTF8 = Encoding(None)


def _known(encoding: Encoding) -> str:
    try:
        found = codecs.lookup(str(encoding.name))
        "".encode(found.name)  # base64 and the like are none of texts
    except LookupError:
        raise UserError(
            f"{encoding.option}{encoding.name}: no such encoding; expected one that Python knows, "
            "as cp1252, latin-1, cp437, mac-roman, shift_jis or gb18030"
        ) from None
    return found.name


def as_utf8(file: str, stream: BinaryIO, encoding: Encoding) -> BinaryIO:
    """A text in UTF-8 of a stream that is in another encoding; `file` is named in messages.

    Raises:
        UserError: Python knows no such encoding. The stream raises one where its bytes are none of
            it: by a mark of another, bytes that mean nothing, or letters that nobody writes; at its
            end, where it was UTF-8.
    """
    recoded = _Recoded(file, stream, encoding, _known(encoding))
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, recoded), _BLOCK))


class _Recoded(io.RawIOBase):
    def __init__(self, file: str, stream: BinaryIO, encoding: Encoding, codec: str) -> None:
        self._file, self._stream, self._encoding = file, stream, encoding
        self._said = f"{file}: {encoding.option}{encoding.name}"
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec)()
        # what would tell whether the bytes are UTF-8, until they are not
        self._other: Any = codecs.getincrementaldecoder("utf-8")()
        self._done, self._is_ascii, self._is_over = 0, True, False
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._ready and not self._is_over:
            self._ready = self._next()
        some, self._ready = self._ready[: len(target)], self._ready[len(target) :]
        target[: len(some)] = some
        return len(some)

    def _next(self) -> bytes:
        """The next bytes as UTF-8; none at the end."""
        block = self._stream.read(_BLOCK)
        if self._done == 0:
            self._check_mark(block)
        self._is_over = not block
        try:
            text = self._decoder.decode(block, self._is_over)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self._said}: byte {self._done + error.start} is none of it ({error.reason}); "
                "name another one"
            ) from None
        self._done += len(block)
        control = _CONTROLS.search(text)
        if control:
            raise UserError(
                f"{self._said}: it would hold {control[0]!r}, which is no letter; most such files "
                f"are {self._encoding.option}cp1252"
            )
        self._check_other(block)
        return text.encode()

    def _check_mark(self, block: bytes) -> None:
        for mark, other in _MARKS.items():
            if block.startswith(mark) and not self._codec.startswith(other.lower()):
                begins = f"it begins as {other}, which is read by itself"
                raise UserError(f"{self._said}: {begins}; {_OUT}")

    def _check_other(self, block: bytes) -> None:
        """No text with letters beyond ASCII is UTF-8 by chance."""
        self._is_ascii = self._is_ascii and block.isascii()
        if self._other is None:
            return
        try:
            self._other.decode(block, self._is_over)
        except UnicodeDecodeError:
            self._other = None
            return
        if self._is_over and not self._is_ascii:
            raise UserError(f"{self._said}: all of it is UTF-8, which is read by itself; {_OUT}")

"""A frozen value that is a JSON file as well.

A file is read with its types checked, so a stage that meets the file of another version says which
key is wrong instead of failing somewhere behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec  # 20 ms, pydantic 91; `make repro` with nothing to do takes a second (0018)

from goodfit.errors import OtherVersionError
from goodfit.system.files import read_json, write_json


@dataclass(frozen=True)
class Record:
    """What a stage leaves for another; `read` is the inverse of `write`."""

    def write(self, path: Path) -> None:
        """JSON with sorted keys, whole or absent; ValueError for NaN, which JSON does not know."""
        write_json(path, self.to_json())

    def to_json(self) -> Any:
        """What `of` takes: dictionaries, lists and plain values; a path is a string."""
        return msgspec.to_builtins(self, enc_hook=_text)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            UserError: the file is missing or was cut.
            OtherVersionError: it lacks a key or a type that this version expects.
        """
        return cls.of(read_json(path), path)

    @classmethod
    def of(cls, content: Any, path: Path) -> Self:
        """The record in `content`, which was read from `path`.

        Raises:
            OtherVersionError: `content` lacks a key or a type that this version expects.
        """
        try:
            return msgspec.convert(content, cls, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise OtherVersionError(
                f"{path} is no {cls.__name__.lower()} that this version can read ({error}); "
                "`dvc repro` makes it again"
            ) from None


def _text(value: Any) -> str:
    """A path as JSON holds it; anything else is refused, for it would come back as a text."""
    if not isinstance(value, Path):
        raise TypeError(f"{value!r} is {type(value).__name__}, which no record holds")
    return str(value)


def _path(expected: type, text: Any) -> Path:
    """A value of a type that JSON does not know; of those, records hold paths alone."""
    assert expected is Path, expected
    return Path(text)

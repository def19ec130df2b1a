"""Anybody's files, one sub-folder a class: what images and sounds have in common.

Letters: N files of the archive, B rows that are loaded together; H height, W width, C channels of
an image, L numbers of a sound.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import decoded
from goodfit.data.base import Array, StratifiedDataSet, class_labels
from goodfit.errors import UserError
from goodfit.schema import Fraction, Source, Whole
from goodfit.system.archive import file_names, some_members
from goodfit.system.folder import is_hidden

# folders that divide the files otherwise than by class
_TRAIN = {"train", "training"}
_HELD_OUT = {"dev", "eval", "test", "testing", "val", "valid", "validation"}
_SPLITS = _TRAIN | _HELD_OUT
_AT_ONCE = 16 * 2**20  # bytes of decoded files that are encoded together


class FileDataSet(StratifiedDataSet):
    """A row for each file of an archive; its class is the sub-folder that it lies in.

    `read` knows the names alone. `decode` makes an array of a file's bytes, always of one shape;
    prepare calls it once for each file, in several threads or processes, and keeps what comes of
    it. `cell` is the column of a raw row that holds a file's content, `endings` are those that a
    file of each format may have.
    """

    sources: ClassVar[tuple[str, ...]] = ("files",)
    kind = "class"
    generic = True
    hidden: ClassVar[tuple[str, ...]] = ("file",)  # its folder is the class
    may_repeat: ClassVar[bool] = False  # several samples may have equal files
    chunk = 64  # of photos, half a gigabyte may be on its way to the processes
    cell: ClassVar[str]
    form: ClassVar[str]  # what `measured` gives behind the first, in words
    endings: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        faults: Literal["fail", "quarantine"],
        most_faults: Fraction,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation, split_seed=split_seed)
        self.faults, self.most_faults = faults, most_faults

    @property
    def decoder(self) -> FileDataSet:
        """The data set itself."""
        return self

    @abstractmethod
    def decode(self, content: bytes) -> Array:
        """The array of a file, (H, W, C) or (L,), of the same shape and type for all files.

        It depends on `decoding` and the bytes alone.

        Raises:
            UserError: the file cannot be used.
        """

    @abstractmethod
    def decoding(self) -> dict[str, Any]:
        """The settings that `decode` depends on, and versions of what decodes."""

    @property
    @abstractmethod
    def array_bytes(self) -> int:
        """The size of what `decode` makes of a file."""

    def at_once(self, rows: pd.DataFrame) -> int:
        """More rows than a chunk of files has, where their arrays are small.

        Of 64 rows, pandas takes as long to find the labels as a disk does to give the arrays.
        """
        return max(self.chunk, _AT_ONCE // self.array_bytes)

    @staticmethod
    @abstractmethod
    def measured(content: bytes) -> tuple[float, ...]:
        """What is known of a file before it is decoded, for a reader.

        Raises:
            UserError: it is none that is read here, or broken.
        """

    @staticmethod
    @abstractmethod
    def described(measures: Sequence[tuple[float, ...]]) -> str:
        """What `measured` gave of some files, in words: 28 x 28 pixels, grey."""

    @staticmethod
    @abstractmethod
    def suited(measures: Sequence[tuple[float, ...]]) -> dict[str, Any]:
        """Options that suit files with these measures."""

    @staticmethod
    @abstractmethod
    def becomes(measures: Sequence[tuple[float, ...]], options: Mapping[str, Any]) -> str:
        """What a network sees of files with these measures, in words, and what is lost."""

    @staticmethod
    @abstractmethod
    def format_of(content: bytes) -> str:
        """The name of the format of a file, one of `endings`, by its first bytes.

        Raises:
            UserError: it has none of these formats.
        """

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Name and class of each file, in the archive's order; a folder around all is no class.

        Raises:
            UserError: the archive is none, or broken, or has no file, or its folders divide the
                files into train and test.
        """
        path = raw["files"]
        return of_folders(path.name, visible(path.name, file_names(path)))

    def goal(self, train: pd.DataFrame) -> Field:
        """What learns the target of train: its classes.

        Raises:
            UserError: there is only one.
        """
        return Field((), "int64", labels=class_labels(train))

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with their arrays: those that prepare has decoded, or from the archive.

        Raises:
            UserError: a file cannot be used.
        """
        if decoded.DECODED in raw:
            arrays = list(decoded.cells(raw[decoded.DECODED], rows.index, self.chunk))
        else:
            contents = dict(self.contents(raw, list(rows["file"])))
            arrays = [self.examined(name, contents[name]) for name in rows["file"]]
        return rows.assign(**{self.cell: pd.Series(arrays, index=rows.index, dtype=object)})

    def contents(
        self, raw: Mapping[str, Path], names: Sequence[str]
    ) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of some files, which `names` has in the order of `read`.

        Raises:
            UserError: the archive is broken.
        """
        return some_members(raw["files"], names)

    def examined(self, name: str, content: bytes) -> Array:
        """The array of a file, as `decode` makes it, (H, W, C) or (L,); its name says what it is.

        Raises:
            UserError: what is wrong with it.
        """
        self.check_name(name, content)
        return self.decode(content)

    @classmethod
    def check_name(cls, name: str, content: bytes) -> None:
        """A file is of the format that its name says.

        Raises:
            UserError: it is of another one, of none, or empty.
        """
        if not content:
            raise UserError("is empty")
        form = cls.format_of(content)
        ending = PurePosixPath(name).suffix.lower()
        if ending not in cls.endings[form]:
            raise UserError(f"is {form}, though its name ends with '{ending}'")

    def decode_chunk(self, names: list[str], contents: list[bytes]) -> decoded.Chunk:
        """What comes of B files."""
        arrays: list[Array | None] = []
        problems: dict[int, str] = {}
        for place, (name, content) in enumerate(zip(names, contents, strict=True)):
            try:
                arrays.append(self.examined(name, content))
            except UserError as error:
                problems[place] = str(error)
                arrays.append(None)
        blank = np.zeros_like(next((array for array in arrays if array is not None), np.zeros(0)))
        filled = [blank if array is None else array for array in arrays]
        return decoded.Chunk(np.stack(filled), problems, [_digest(each) for each in contents])

    @classmethod
    def column_of_files(cls, spec: DataSpec) -> str:
        """The one column that there is."""
        return cls.cell

    def key(self, rows: pd.DataFrame) -> list[bytes]:
        """The arrays as bytes: a file is known by its content, whatever its name."""
        return [np.ascontiguousarray(array).tobytes() for array in rows[self.cell]]


def visible(file: str, names: Sequence[str]) -> list[str]:
    """The names of files in a folder or an archive that `file` calls, without hidden ones.

    Raises:
        UserError: there is none, or one is there twice.
    """
    shown = [name for name in names if not is_hidden(name)]
    if len(set(shown)) < len(shown):
        twice = next(name for name, count in Counter(shown).items() if count > 1)
        raise UserError(f"{file} holds '{twice}' twice; pack the folder again")
    if not shown:
        raise UserError(f"{file} holds no files; expected a sub-folder for each class")
    return shown


def of_folders(file: str, names: Sequence[str]) -> pd.DataFrame:
    """A row for each of the files that `file` holds: its name, and its folder as the label.

    A folder around all is no class; a file outside of all folders has the label "".

    Raises:
        UserError: the folders divide the files into train and test.
    """
    parts = [PurePosixPath(name).parts for name in names]
    depth = _depth_of_classes(parts)
    labels = [each[depth] if len(each) > depth + 1 else "" for each in parts]
    folders = {label.lower() for label in labels if label}
    # beside them may lie a file, or what is neither
    if folders and (folders <= _SPLITS or (folders & _TRAIN and folders & _HELD_OUT)):
        raise UserError(
            f"{file} has the sub-folders {', '.join(sorted(set(labels) - {''}))}, which are no "
            "classes; put the files of a class into one folder: data.test and data.validation "
            "say how many are held out"
        )
    return pd.DataFrame({"file": list(names), "label": labels})


def file_bytes(cell: Any) -> bytes | None:
    """The bytes of a file that a caller sent, or its base64; None for anything else.

    Raises:
        UserError: it is empty, or a text is no base64, as a path: a served model opens no files.
    """
    if isinstance(cell, bytes | bytearray | memoryview):
        if not len(cell):
            raise UserError("is empty")
        return bytes(cell)
    if not isinstance(cell, str):
        return None
    try:
        return base64.b64decode(cell, validate=True)
    except (binascii.Error, ValueError):
        raise UserError(
            f"is a text that is no base64: '{cell[:40]}'; a path is not opened: send the bytes, "
            "or give predict.py --files, the folder"
        ) from None


def _depth_of_classes(parts: list[tuple[str, ...]]) -> int:
    """How many folders stand around all files: of photos/cats/1.png and photos/dogs/2.png one."""
    depth = 0
    while len({each[depth] for each in parts if len(each) > depth + 1}) == 1:
        below = {each[depth + 1] for each in parts if len(each) > depth + 2}
        has_files = any(len(each) == depth + 2 for each in parts)
        # a folder with files and one folder in it is a class, though it be the only one
        if not below or (has_files and len(below) == 1):
            break
        depth += 1
    return depth


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def copies(files: pd.DataFrame) -> dict[str, str]:
    """What is wrong with files that have the digest of another one, of file, label and digest.

    The first of equal ones is used where all have its class.
    """
    found = {}
    for _, equal in files[files["digest"].duplicated(keep=False)].groupby("digest", sort=False):
        first = equal.iloc[0]
        others = equal[equal["label"] != first["label"]]
        if len(others):  # which of them is right, nobody knows
            found[first["file"]] = f"is equal to {others.iloc[0]['file']}, of another class"
        another = ", of another class" if len(others) else ""
        for name in equal["file"].iloc[1:]:
            found[name] = f"is equal to {first['file']}{another}"
    return found

"""A look at somebody's table that names files: where they are, and what their targets are.

Letters: N rows of the table.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from os.path import commonpath, normpath
from pathlib import Path

import pandas as pd

from goodfit.data import look_files
from goodfit.data.faults import shown
from goodfit.data.files import FileDataSet
from goodfit.data.named import NamedFiles
from goodfit.errors import UserError

_LOOKED_THROUGH = 1000  # cells of a column
_TRIED = 5  # names of which none is there: then all are somewhere else


def folder_of(table: Path, cells: pd.DataFrame, column: str, ending: str) -> Path:
    """The folder that holds all files that a column of a table (N rows) names from its own on.

    Raises:
        UserError: they are not there, or in no folder of their own.
    """
    names = cells.loc[cells[column] != "", column]
    paths = [Path(normpath(table.parent / f"{name}{ending}")) for name in names]
    if not any(path.is_file() for path in paths[:_TRIED]):
        first = f"names '{names.iloc[0]}'" if paths else f"names no file in column '{column}'"
        raise UserError(
            f"{table.name} {first}, which is not in {table.parent}; name the folder of "
            "the files, or their archive: folder=...; and what it leaves out of names: ending=.png"
        )
    folder = Path(commonpath([path.parent for path in paths]))
    is_everything = folder in (Path(folder.anchor), Path.home())
    if is_everything or _has_mostly_others(folder, paths):
        outside = _outside(paths, folder)
        row = names.index[outside] + cells.attrs.get("first_row", 2)
        of_which = "" if is_everything else ", most of whose files no row names"
        meant = "" if is_everything else f"; or, where all of it is meant, folder={folder}"
        raise UserError(
            f"{table.name}: row {row} column {column} names {shown(names.iloc[outside])}, so all "
            f"of {folder} would be packed{of_which}; mend or drop that row, or put the files into "
            f"a folder of their own, and name it: folder=...{meant}"
        )
    return folder


def _has_mostly_others(folder: Path, paths: Sequence[Path]) -> bool:
    """Whether no row names most files of the `folder` that several folders of `paths` share.

    Then one of them may be a slip. Where all files are in one folder it is theirs.
    """
    if len({path.parent for path in paths}) == 1:
        return False
    most = 2 * len(set(paths))
    found = 0
    for _, _, names in os.walk(folder):  # of a large folder not more than that is looked at
        found += len(names)
        if found > most:
            return True
    return False


def _outside(paths: Sequence[Path], folder: Path) -> int:
    """The place of the first of the paths for which no smaller `folder` holds most and it."""
    usual, _ = Counter(path.parent for path in paths).most_common(1)[0]
    apart = (Path(commonpath([path.parent, usual])) == folder for path in paths)
    return next(place for place, is_apart in enumerate(apart) if is_apart)


def naming(cells: pd.DataFrame, known: Collection[str]) -> list[str]:
    """What is to be said of columns of a table (N rows) whose texts are names of files.

    Those that are `known` as such are looked into.
    """
    said = []
    for name in map(str, cells.columns.drop(list(known), errors="ignore")):
        some = list(cells[name].head(_LOOKED_THROUGH))
        counts = look_files.by_kind(some)
        for option, kind in (("image", "images"), ("sound", "sounds")):
            if 2 * counts.get(kind, 0) > len(some):
                beside = f", columns.{name}=image beside the others" if option == "image" else ""
                said.append(
                    f"'{name}' names {kind}, which nothing looks into; {option}={name} does, "
                    f"alone{beside}"
                )
    return said


def rows(data: FileDataSet, table: Path, cells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A row for each file, as prepare will read it, of the cells (N rows) of a table.

    Raises:
        UserError: as `NamedFiles.read`.
    """
    assert isinstance(data, NamedFiles)
    understood = data.table.understood(table.name, cells)
    return data.joined(table.name, understood, path.name, look_files.names(path))

"""Files as rows: those of a folder, of an archive, or one alone, a few in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from goodfit.data import table_files
from goodfit.data.delimited import normal
from goodfit.data.named import matched
from goodfit.data.row_files import ENDINGS, Part
from goodfit.errors import UserError
from goodfit.system import archive, folder

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".deb", ".whl")
_FILES, _BYTES = 512, 64 * 2**20  # of a part


Check = Callable[[str, bytes], None]  # raises UserError: what is wrong with a file


class Filled(NamedTuple):
    """Rows (N, columns), and what is wrong with the files of some, by their places."""

    rows: pd.DataFrame
    problems: Mapping[int, str]


def is_files(path: Path) -> bool:
    """Whether a path is a folder, an archive, or one file that is no table.

    Raises:
        UserError: it is a workbook of a kind that is not read.
    """
    if path.is_dir():
        return True
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    return path.is_file() and ending not in ENDINGS and not table_files.has_sheets(path)


def parts(path: Path, column: str, check: Check) -> Generator[Part, None, None]:
    """Name and content of each file, `column`; hidden files are left out. At least one part.

    What `check` finds wrong with a file is said of its row.

    Raises:
        UserError: it cannot be read.
    """
    names: list[str] = []
    contents: list[bytes] = []
    is_first = True
    for name, content in _contents(path):
        names.append(name)
        contents.append(content)
        if len(names) == _FILES or sum(map(len, contents)) > _BYTES:
            yield _part(path, names, column, contents, check)
            names, contents, is_first = [], [], False
    if names or is_first:
        yield _part(path, names, column, contents, check)


def filled(rows: pd.DataFrame, column: str, path: Path, check: Check) -> Filled:
    """Rows (N, columns) whose `column` names files of a folder or an archive, with their bytes.

    The name of one that is not there stays as it is; what `check` finds wrong is said by row.

    Raises:
        UserError: the folder cannot be read.
    """
    own = next((name for name in rows if normal(str(name)) == column), None)
    if own is None:
        return Filled(rows, {})  # whoever encodes the rows says which columns are missing
    asked = list(rows[own].astype(str))
    if path.is_dir():
        files = dict(folder.files(path))
        names = matched(asked, list(files))
        contents = {name: _read(files[name]) for name in set(names) & set(files)}
    else:
        names = matched(asked, list(archive.file_names(path)))
        contents = dict(archive.some_members(path, names))
    problems = _problems(contents, check)
    cells = [contents.get(name, cell) for name, cell in zip(names, rows[own], strict=True)]
    made = rows.copy(deep=False)
    made[own] = pd.Series(cells, rows.index, dtype=object)
    return Filled(
        made,
        {row: f"{name} {problems[name]}" for row, name in enumerate(names) if name in problems},
    )


def _problems(contents: Mapping[str, bytes], check: Check) -> dict[str, str]:
    """What is wrong with files, by their names."""
    found = {}
    for name, content in contents.items():
        try:
            check(name, content)
        except UserError as error:
            found[name] = str(error)
    return found


def _part(path: Path, names: list[str], column: str, contents: list[bytes], check: Check) -> Part:
    rows = pd.DataFrame({"file": names, column: pd.Series(contents, dtype=object)})
    problems = _problems(dict(zip(names, contents, strict=True)), check)
    broken = {row: problems[name] for row, name in enumerate(names) if name in problems}
    return Part(rows, [], f"{path}, file", column, broken)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for name, file in folder.files(path):
            yield name, _read(file)
    elif path.name.lower().endswith(ARCHIVES):
        for name, content in archive.members(path):
            if not folder.is_hidden(name):
                yield name, content
    else:
        yield path.name, _read(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None

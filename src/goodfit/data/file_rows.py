"""Files as rows: those of a folder, of an archive, or one alone, a few in memory at once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pandas as pd

from goodfit.data.named import matched
from goodfit.data.row_files import ENDINGS, Part
from goodfit.errors import UserError
from goodfit.system import archive, folder

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".deb", ".whl")
_FILES, _BYTES = 512, 64 * 2**20  # of a part


def is_files(path: Path) -> bool:
    """Whether a path is a folder, an archive, or one file that is no table."""
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    return path.is_dir() or (ending not in ENDINGS and path.is_file())


def parts(path: Path, column: str) -> Generator[Part, None, None]:
    """Name and content of each file, `column`; hidden files are left out. At least one part.

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
            yield _part(path, names, column, contents)
            names, contents, is_first = [], [], False
    if names or is_first:
        yield _part(path, names, column, contents)


def filled(rows: pd.DataFrame, column: str, path: Path) -> pd.DataFrame:
    """Rows (N, columns) whose `column` names files of a folder or an archive, with their bytes.

    The name of one that is not there stays as it is.

    Raises:
        UserError: the folder cannot be read.
    """
    if path.is_dir():
        files = dict(folder.files(path))
        names = matched(list(rows[column].astype(str)), list(files))
        contents = {name: _read(files[name]) for name in set(names) & set(files)}
    else:
        names = matched(list(rows[column].astype(str)), list(archive.file_names(path)))
        contents = dict(archive.some_members(path, names))
    cells = [contents.get(name, cell) for name, cell in zip(names, rows[column], strict=True)]
    return rows.assign(**{column: pd.Series(cells, rows.index, dtype=object)})


def _part(path: Path, names: list[str], column: str, contents: list[bytes]) -> Part:
    rows = pd.DataFrame({"file": names, column: pd.Series(contents, dtype=object)})
    return Part(rows, [], f"{path}, file", column)


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

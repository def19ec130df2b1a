"""Files that a table names, each with its target: what images and sounds of such have in common.

Letters: N rows of the table that name a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, Self

import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import target
from goodfit.data.base import Array
from goodfit.data.columns import Column
from goodfit.data.delimited import normal
from goodfit.data.faults import Faults
from goodfit.data.files import FileDataSet, visible
from goodfit.data.findings import findings
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.records import Finding
from goodfit.system.archive import file_names
from goodfit.system.units import counted

_LISTED = 5  # names in a message
_LABEL = "label"  # the column of the target, as of other files


class FileTable(Table):
    """A table with a column `names` of files, a target, columns that decide the split, a weight.

    Other columns are left out: the input is the file.
    """

    drops = False

    def __init__(self, *, names: str, **options: Any) -> None:
        # whatever the names look like
        as_texts: dict[str, Any] = {
            "columns": {names: "category"},
            "drop": [],
            "order": [],
            "separator": None,
        }
        cells: dict[str, Any] = {"missing": "refuse", "missing_in": {}, "na_values": {}}
        super().__init__(**options, **as_texts, **cells, equal_rows="together")
        self.names = normal(names)

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """As of a table, (N,); equal rows are copies: no option takes them as cases of their own.

        Raises:
            UserError: a split is left without rows, or a cell names none.
        """
        return self._split(rows, duplicate_group)

    def _advice(self, faults: Faults) -> str:
        # no option says what a missing cell of the names would stand for
        return ""

    def _decided(self, cells: pd.Series[Any]) -> Column:
        if cells.name in (self.names, self.weight, *self.splitting.names):
            return super()._decided(cells)
        return Column(None, f"the input is the file that '{self.names}' names")


class NamedFiles(FileDataSet):
    """A row for each file that a table names; its target, and its split, stand in that row.

    A subclass gives the `table`. `ending` stands behind each name of the table, where it leaves
    that out. Files of the folder that no row names are refused, or left out, by `unnamed`.
    """

    sources: ClassVar[tuple[str, ...]] = ("table", "files")
    table: FileTable
    ending: str | None
    unnamed: Literal["refuse", "leave_out"]

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Name and target of each file, and what decides the split, in the folder's order.

        Raises:
            UserError: the table or the folder cannot be read; files are named twice, are not
                there, or are there without a row.
        """
        table, path = raw["table"], raw["files"]
        rows = self.table.read({"table": table})
        present = visible(path.name, file_names(path))
        return self.joined(table.name, rows, path.name, present)

    def joined(
        self, table: str, rows: pd.DataFrame, folder: str, present: Sequence[str]
    ) -> pd.DataFrame:
        """What `read` gives, of the rows (N,) of a table and the files that are `present`.

        `table` and `folder` call both in messages.

        Raises:
            UserError: as `read`.
        """
        for name in ("file", _LABEL, self.cell):
            if name in (self.table.weight, *self.table.splitting.names):
                raise UserError(f"{table}: a column is named '{name}', as goodfit's own; rename it")
        names = found(table, rows[self.table.names], folder, present, self.ending or "")
        place = {name: number for number, name in enumerate(present)}
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UserError(f"{table} names {_listed(twice)} more than once; a file has one row")
        others = unnamed(set(names), present, self.endings)
        tell_unnamed(table, folder, others, self.unnamed)
        kept = rows.drop(columns=self.table.names).rename(columns={self.table.label: _LABEL})
        kept.insert(0, "file", names)
        return kept.sort_values("file", key=lambda column: column.map(place), ignore_index=True)

    def goal(self, train: pd.DataFrame) -> Field:
        """What learns the target of train: its classes, or its mean and deviation.

        Raises:
            UserError: it is the same in all of train.
        """
        return target.field(train[_LABEL], self.kind, [], self.table.goals)

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """As of files in folders, with the columns that group and weigh them."""
        spec = super().fit(train)  # type: ignore[safe-super]
        if self.table.splitting.group:
            spec.facts["group"] = self.table.splitting.group
        if self.table.weight in train:
            spec.facts["weight"] = self.table.weight
        return spec

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The name of each file's split, (N,), by the columns that are named, or at random.

        Raises:
            UserError: a split is left without rows, or a cell names none.
        """
        return self.table.split(self._as_table(rows), duplicate_group)

    def with_shares(self, test: float, validation: float) -> Self:
        """The same data set, and the same table, with other shares of the splits."""
        other = super().with_shares(test, validation)
        other.table = self.table.with_shares(test, validation)
        return other

    def strata(self, rows: pd.DataFrame) -> Array:
        """What a split keeps in proportion, (N,): as of a table."""
        return self.table.strata(self._as_table(rows))

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The group of each file, (N,); without groups each is one."""
        return self.table.clusters(self._as_table(rows))

    def sample_weight(self, rows: pd.DataFrame) -> Array:
        """How much each file counts, (N,), by the column that says so."""
        return self.table.sample_weight(rows)

    @classmethod
    def cluster_of(cls, spec: DataSpec) -> str:
        """The name of the column that groups files, or a sample."""
        group: str = spec.facts.get("group", cls.cluster)
        return group

    def findings(self, rows: pd.DataFrame, names: Array) -> list[Finding]:
        """Torn groups, and a target that differs between the splits `names` (N,)."""
        as_table = self._as_table(rows)
        return findings(as_table, names, self.table.label, [], self.table.splitting.group)

    def _as_table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with the target under its own name."""
        return rows.rename(columns={_LABEL: self.table.label})


def found(
    table: str, names: Iterable[str], folder: str, present: Sequence[str], ending: str
) -> list[str]:
    """The files that `names` of a table mean, as they are `present` in a folder; `ending` is added.

    `table` and `folder` call both in messages.

    Raises:
        UserError: some are not there.
    """
    texts = [f"{name}{ending}" for name in names]
    files, known = matched(texts, present), set(present)
    lacking = [text for text, name in zip(texts, files, strict=True) if name not in known]
    if lacking:
        count = f"{len(lacking):,} of {counted(len(texts), 'file')}"
        said = f"{folder} lacks {count} that {table} names, such as {_listed(lacking)}"
        raise UserError(f"{said}; {_advice(lacking[0], present, ending)}")
    return files


def _advice(lacking: str, present: Sequence[str], ending: str) -> str:
    """What to do about a file that is not there."""
    wanted = PurePosixPath(lacking).name
    for name in present:
        file = PurePosixPath(name)
        if file.stem == wanted and file.suffix and not ending:
            return f"it has {name}: data.ending={file.suffix}"
    return f"it has {_listed(present)}; mend the names, or drop the rows"


def unnamed(
    named: Collection[str], present: Sequence[str], endings: Mapping[str, Collection[str]]
) -> list[str]:
    """The files with a known ending among those `present` that no row names."""
    known = {ending for some in endings.values() for ending in some}
    others = [name for name in present if name not in named]
    return [name for name in others if PurePosixPath(name).suffix.lower() in known]


def tell_unnamed(table: str, folder: str, others: Sequence[str], rule: str) -> None:
    """Says which files no row names.

    Raises:
        UserError: they are not to be left out.
    """
    if not others:
        return
    said = f"{folder} has {counted(len(others), 'file')} that {table} does not name, such as "
    said += _listed(others)
    if rule == "refuse":
        raise UserError(f"{said}; add their rows, or data.unnamed=leave_out")
    print(f"{said}; left out")


def matched(names: Sequence[str], present: Sequence[str]) -> list[str]:
    """The names of a table as they are in the folder, where files are `present`.

    Folders that stand before the names, or before the files, count as well as none: the table
    beside the folder `photos` may say photos/1.png, or 1.png. What is not there stays as it is.
    """
    # macOS writes an accent as a letter of its own, and most programs do not
    known = {normal(name): name for name in present}
    of_table = [PurePosixPath(name) for name in names]
    best: tuple[int, list[str]] = (-1, list(names))
    for before in _fronts(of_table):
        for around in _fronts([PurePosixPath(name) for name in known]):
            tried = []
            for name in of_table:
                is_there = name.parts[: len(before)] == before
                rest = name.parts[len(before) :] if is_there else name.parts
                tried.append(normal(str(PurePosixPath(*around, *rest))))
            hits = sum(name in known for name in tried)
            if hits > best[0]:
                best = hits, tried
    placed = zip(names, best[1], strict=True)
    return [known.get(found, name) for name, found in placed]


def _fronts(paths: Sequence[PurePosixPath]) -> list[tuple[str, ...]]:
    """The folders that stand before more than half of the files, one, two and more of them."""
    found: list[tuple[str, ...]] = [()]
    while True:
        depth = len(found)
        fronts = Counter(path.parts[:depth] for path in paths if len(path.parts) > depth)
        front, count = fronts.most_common(1)[0] if fronts else ((), 0)
        if 2 * count <= len(paths):
            return found
        found.append(front)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:_LISTED]) + more

"""Any file of rows with named columns: one column is the target, every other one an input.

Numbers and dates are standardised, texts one-hot coded; what each column is read as is said.

Letters: N rows of the table, B rows that are encoded together, F features of each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import delimited, digests, features, several, table_files, target
from goodfit.data.base import Array, Encoded, StratifiedDataSet, arrays_as_lists, check_columns
from goodfit.data.columns import Column, decide
from goodfit.data.faults import Faults
from goodfit.data.findings import absent, of_each
from goodfit.data.in_time import in_time
from goodfit.data.split_file import by_file
from goodfit.data.table_cells import (
    MissingCells,
    check_resolution,
    columns_read,
    exhibit,
    noted,
    read_as,
    read_cells,
    without_spaces,
)
from goodfit.data.table_names import check_any_left, check_names
from goodfit.data.table_split import BY_FILE, SplitColumns, with_equal_rows
from goodfit.data.table_weight import check_splits, check_weight, read_weight
from goodfit.errors import UserError
from goodfit.records import ColumnRead, Exhibit, Finding
from goodfit.schema import (
    Columns,
    Equal,
    Fraction,
    Gap,
    Missing,
    MissingIn,
    Names,
    NaValues,
    Source,
    TextOrNone,
    Whole,
)

_TARGET = "target"  # of a table's attributes: why the target is as it is
_CELLS, _MOST_AT_ONCE = 2**20, 2**14  # that are encoded together, and their rows


class Table(StratifiedDataSet):
    """Rows with named columns; `label` names the target, or several.

    `columns` says what a column is read as where its cells would say something else, `drop` which
    are left out. A cell that is missing becomes the median of train and a column that marks it, of
    a text a category; `missing=refuse` takes none, and `missing_in` says it of single columns.
    `na_values` names what else stands for a missing cell of a column, such as -999.
    `weight` names the column that says how much each row counts, in the loss, in scores, and where
    something is chosen by them; means and deviations of train count each row alike.
    Rows of equal inputs share a split, as copies do, unless `equal_rows` is "apart".
    Labels that differ in spelling alone, as "Yes" and "yes", are refused, joined or kept, by
    `alike_labels`. A text column with a value that train never had gives zeros for all its
    categories.
    """

    sources = ("table",)
    may_read: ClassVar[tuple[str, ...]] = ("split",)
    inputs: ClassVar[tuple[str, ...]] = ("numbers",)
    kind = "class"
    modality = "table"
    takes_any_cell = True
    generic = True
    hidden: ClassVar[tuple[str, ...]] = (BY_FILE,)
    drops: ClassVar[bool] = True  # whether an option leaves columns out

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        label: str | Names,
        kind: Literal["class", "ordered", "labels", "number", "numbers", "count"],
        order: Names,
        separator: TextOrNone,
        columns: Columns,
        drop: Names,
        missing: Missing,
        missing_in: MissingIn,
        na_values: NaValues,
        equal_rows: Equal,
        alike_labels: Literal["refuse", "join", "keep"],
        sheet: TextOrNone,
        encoding: TextOrNone,
        group: TextOrNone,
        time: TextOrNone,
        gap: Gap,
        assigned: TextOrNone,
        weight: TextOrNone,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation, split_seed=split_seed)
        self.goals = list(map(delimited.normal, [label] if isinstance(label, str) else label))
        self.label, self.kind = " + ".join(self.goals), kind  # type: ignore[misc]
        self.separator, self.order, self.in_time = separator, list(order), bool(time)
        several.check_options(self.goals, kind, separator)
        self.columns = {delimited.normal(name): asked for name, asked in columns.items()}
        self.drop = [delimited.normal(name) for name in drop]
        self.missing = MissingCells(missing, missing_in, na_values)
        self.alike_labels, self.weight = alike_labels, weight and delimited.normal(weight)
        self.equal_rows, self.form = equal_rows, dict[str, Any](sheet=sheet, encoding=encoding)
        file = sources["split"].filename if "split" in sources else None
        self.splitting = SplitColumns(group=group, time=time, assigned=assigned, gap=gap, file=file)
        tenths = "at random, each tenth of the numbers in the same proportion on every side"
        by_default = tenths if kind in ("number", "count") else self.rule
        self.rule = self.splitting.rule or by_default  # type: ignore[misc]

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Numbers as floats, dates as moments, all else as text, without columns that are left out.

        Raises:
            UserError: the file is no table, lacks a column that is named, or has cells that cannot
                be used, or be read in two ways.
        """
        path = raw["table"]
        cells = self.frame(path)
        for said in cells.attrs.get("said", ()):
            print(f"{path.name}: {said}")
        return self.understood(path.name, cells, raw.get("split"))

    def understood(self, file: str, cells: pd.DataFrame, split: Path | None = None) -> pd.DataFrame:
        """What `read` gives of the cells (N rows) that `frame` has read of a file.

        `split` is the file that says the split of each row.

        Raises:
            UserError: as `read`.
        """
        present = list(map(str, cells.columns))
        check_names(file, present, self.goals, self.kind, self.columns, self._named())
        if cells.empty:
            raise UserError(f"{file} has a header but no rows")
        # by which a fault is told
        cells = cells.set_axis(cells.index + cells.attrs.get("first_row", 2))
        if self.kind in several.KINDS:
            into, options = (self.label, self.kind), (self.separator, self.columns)
            cells = several.folded(file, cells, self.goals, *into, *options)
        decided = self._decided_inputs(file, cells)
        goal = target.decided(cells[self.label], self.kind, self.columns.get(self.label))
        table = self._read_cells(file, cells, decided, goal)
        if split:
            table[BY_FILE] = by_file(file, table[self.splitting.key], split)
        taken = [name for name, column in decided.items() if column.kind]
        goal = without_spaces(goal, cells.attrs.get("spaced", {}).get(self.label, 0))
        said = [goal.why]
        if self.kind in several.KINDS:
            said = [several.said(table[self.label], self.kind)]
        elif goal.kind == "category":
            table[self.label], more = target.labels(file, table[self.label], self.alike_labels)
            said += more
        for name, one in product(taken, several.unfolded(table[self.label], self.kind, self.goals)):
            decided[name] = target.with_a_leak(decided[name], table[name], one, self.drops)
        table.attrs = {**noted(decided), _TARGET: "; ".join(said)}
        return table

    def _read_cells(
        self, file: str, cells: pd.DataFrame, decided: dict[str, Column], goal: Column
    ) -> pd.DataFrame:
        """The columns that are taken or needed, (N rows); of the weight, `decided` then tells more.

        Raises:
            UserError: cells cannot be used.
        """
        taken = {name: column for name, column in decided.items() if column.kind}
        faults = Faults(file)
        needed = {**self.splitting.columns(cells, self.columns), self.label: goal}
        rows = {}
        for name, column in {**taken, **needed}.items():
            may_miss = self.missing.imputed(name) and name not in needed
            rows[name] = read_cells(cells[name], column, faults, may_miss, self.spill)
        target.check(self.label, rows[self.label], self.kind, self.order, faults)
        weights: dict[str, pd.Series[Any]] = {}
        if self.weight:
            asked = self.columns.get(self.weight)
            decided[self.weight], weights = read_weight(cells[self.weight], asked, faults)
        faults.report(f"mend or drop them{self._advice(faults)}")
        check_resolution(file, pd.DataFrame(rows, copy=False), needed)
        return pd.DataFrame({**rows, **weights}, copy=False).reset_index(drop=True)

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells of a file, as text; the index counts blank rows, too.

        Raises:
            UserError: the file is empty, is not what its name says, has rows longer than the
                header, or two columns of one name.
        """
        named = [] if self.drops else self.columns  # the input
        needed = {*self.goals, *self.splitting.names, self.weight, *named}
        wanted = table_files.Wanted(self.drop, needed, self.drops)
        return table_files.cells(raw, **self.form, wanted=wanted, spill=self.spill)

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of each number, the categories of each text column.

        Raises:
            UserError: a text column has too many values to be categories, or the target is the
                same in all rows.
        """
        decided = read_as(train)
        facts = {}
        for name in self._numbers(train):
            column = decided.get(name) or Column.of_values(train[name])
            facts[name] = features.fit(train[name], column)
        goal = target.field(train[self.label], self.kind, self.order, self.goals)
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=len(goal.labels) or len(goal.mean),
            inputs={"numbers": Field((sum(map(features.width, facts.values())),), "float32")},
            targets={"target": goal},
            facts={"columns": facts, "knots": features.knots(train, facts), **self._said(train)},
        )

    def _said(self, train: pd.DataFrame) -> dict[str, Any]:
        """What is said of columns that are no inputs: why they are not, the target, the group."""
        read = read_as(train)
        return {
            "left_out": {name: column.why for name, column in read.items() if not column.kind},
            "target": dict.fromkeys(self.goals, train.attrs.get(_TARGET, "the target")),
            **({"group": self.splitting.group} if self.splitting.group else {}),
            **({"weight": self.weight} if self.weight in train else {}),
        }

    def _numbers(self, rows: pd.DataFrame) -> list[str]:
        """The columns that `numbers` holds: all that are inputs."""
        return self._inputs(rows)

    def _inputs(self, rows: pd.DataFrame) -> list[str]:
        """The columns that are inputs: not the target, nor what only decides the split."""
        others = {self.label, BY_FILE, self.weight, *set(self.splitting.names) - set(self.columns)}
        return [str(name) for name in rows if name not in others]

    def strata(self, rows: pd.DataFrame) -> Array:
        """What a split keeps in proportion, (N,)."""
        if self.kind in several.KINDS:
            return several.strata(rows[self.label], self.kind)
        return super().strata(rows)

    def encode_targets(self, rows: pd.DataFrame, spec: DataSpec) -> Mapping[str, Encoded]:
        """The target (B,), or several of them, (B, K)."""
        if self.kind not in several.KINDS:
            return super().encode_targets(rows, spec)
        return {"target": several.encoded(rows[self.label], self.kind, spec.targets["target"])}

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The name of each row's split, (N,), by the columns that are named, or at random.

        Raises:
            UserError: a split is left without rows, or without one that weighs anything, or a cell
            names none.
        """
        by, smallest = partial(self._split, rows), min(self.test, self.validation)
        return with_equal_rows(by, duplicate_group, self.equal_rows, smallest)

    def _split(self, rows: pd.DataFrame, together: Array) -> Array:
        """The split of each row, (N,): rows of one number in `together` (N,) share it."""
        shares = (self.test, self.validation)
        by_columns = self.splitting.split(
            rows, self.strata(rows), together, shares, self.split_seed
        )
        names = super().split(rows, together) if by_columns is None else by_columns
        if self.weight in rows:
            check_splits(str(self.weight), rows[self.weight].to_numpy(), names)
        return names

    def sample_weight(self, rows: pd.DataFrame) -> Array:
        """How much each row counts, (N,), by the column that says so."""
        return rows[self.weight].to_numpy()

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The group of each row, (N,); without groups each row is one."""
        if self.splitting.group is None:
            return super().clusters(rows)
        return pd.factorize(rows[self.splitting.group])[0]

    @classmethod
    def cluster_of(cls, spec: DataSpec) -> str:
        """The name of the column that groups rows, or a sample."""
        group: str = spec.facts.get("group", cls.cluster)
        return group

    def missing_cells(self, rows: pd.DataFrame) -> dict[str, int]:
        """How many cells of each input are missing in the rows (N,), of those that lack any."""
        counts = {name: int(absent(rows[name]).sum()) for name in self._inputs(rows)}
        return {name: count for name, count in counts.items() if count}

    def key(self, rows: pd.DataFrame) -> list[bytes] | None:
        """A digest of the inputs of each row: what decides the split is none of them."""
        return digests.as_list(digests.of_columns(rows[name] for name in self._inputs(rows)))

    def at_once(self, rows: pd.DataFrame) -> int:
        """So many that a chunk has about a million cells of 8 bytes: long texts count as more."""
        size = rows.memory_usage(index=False).sum() / 8 / max(len(rows), 1)
        return int(np.clip(_CELLS // max(rows.shape[1], size, 1), self.chunk, _MOST_AT_ONCE))

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Three rows as a caller would send them: the inputs alone."""
        return super().example(rows[[*self._inputs(rows), self.label]])

    def sent(self, rows: pd.DataFrame) -> pd.DataFrame:
        """As of any data set; an input may be called `target`."""
        return arrays_as_lists(rows.drop(columns=self.label, errors="ignore"))

    def findings(self, rows: pd.DataFrame, names: Array) -> list[Finding]:
        """What makes a score mislead, of rows whose splits are `names` (N,): see `findings`."""
        # that times differ between splits by time is no news
        inputs = [name for name in self._numbers(rows) if name != self.splitting.time]
        goals = several.unfolded(rows[self.label], self.kind, self.goals)
        found = of_each(rows, names, goals, inputs, self.splitting.group)
        return found + in_time(rows, names, goals, inputs, self.splitting)

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`numbers` (B, F): standard scores and one-hot codes side by side.

        Raises:
            UserError: a column of train is missing, or cells cannot be used; they are listed.
        """
        columns = spec.facts["columns"]
        rows = rows.rename(columns=lambda name: delimited.normal(str(name)))
        check_columns(rows, columns)

        faults = Faults("the rows")
        numbers = features.side_by_side(rows, columns, faults)
        faults.report("give what training had")
        return {"numbers": numbers}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The five numbers farthest from train's mean, and the first five texts, dates and gaps.

        Read from `row`: the numbers (F,) of `sample` have lost their units.
        """
        return exhibit(row, spec.facts["columns"])

    @staticmethod
    def columns_read(spec: DataSpec) -> list[ColumnRead]:
        """What each column was read as: inputs, the target, the weight, and those left out."""
        return columns_read(spec)

    def _named(self) -> dict[str, Collection[str]]:
        """The columns that options name, by the option, but for the target.

        Raises:
            UserError: another one names the weight, too, or missing cells of what may have none.
        """
        self.missing.check([name for name in self.splitting.names if name not in self.columns])
        named = {"drop": self.drop, **self.missing.options, **self.splitting.options}
        if self.weight is None:
            return named
        check_weight(self.weight, self.columns, named)
        return {**named, "weight": [self.weight]}

    def _advice(self, faults: Faults) -> str:
        """What may be done about cells that cannot be used, beside mending them."""
        needed = {self.label, self.weight, *self.goals, *self.splitting.names}
        inputs = [name for name in faults.columns if name not in needed]
        return self.missing.advice(inputs)

    def _decided_inputs(self, file: str, cells: pd.DataFrame) -> dict[str, Column]:
        """What each column but the target is read as, or why it is left out.

        Raises:
            UserError: all are left out, or one can be read in two ways.
        """
        spaced: dict[str, int] = cells.attrs.get("spaced", {})
        decided = {}
        for name in map(str, cells.columns.drop(self.label)):
            decided[name] = without_spaces(self._decided(cells[name]), spaced.get(name, 0))
        check_any_left(file, self.label, decided)
        return decided

    def _decided(self, cells: pd.Series[Any]) -> Column:
        name = str(cells.name)
        if name in self.drop:
            return Column(None, "data.drop names it")
        if name == self.weight:
            return Column(None, "data.weight names it")
        if name in self.splitting.names and name not in self.columns:
            return Column(None, self.splitting.left_out(name))
        return decide(name, cells, self.columns.get(name), self.missing.na_values.get(name, ()))

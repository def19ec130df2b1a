"""Which rows of a table are in train, validation and test, by columns that the user names.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import split
from goodfit.data.columns import LITERAL, Column, decide
from goodfit.data.delimited import normal
from goodfit.data.faults import override
from goodfit.data.numbers import Notation
from goodfit.errors import UserError
from goodfit.schema import Equal, ReadAs

Array = np.ndarray[Any, Any]
# the column of what a file says; of a table's own columns none begins with a space
BY_FILE = " split"
_MANY = 30  # equal rows; a split that has fewer is not believed anyway
_NAMES = {
    **{"train": "train", "training": "train"},
    **{"validation": "validation", "valid": "validation", "val": "validation", "dev": "validation"},
    **{"test": "test", "holdout": "test"},
}


def with_equal_rows(
    by: Callable[[Array], Array], duplicate_group: Array, equal_rows: Equal, smallest: float
) -> Array:
    """The name of each row's split (N,): what `by` makes of numbers (N,) of what stays together.

    Rows of one `duplicate_group` (N,) have equal inputs. `smallest` is the smaller share of test
    and validation.

    Raises:
        UserError: kept together, they are more than that share, or leave a split empty.
    """
    apart = np.arange(len(duplicate_group))
    if equal_rows == "apart":
        return by(apart)
    advice = "data.equal_rows=apart takes equal rows as cases that happen to agree"
    most = int(np.bincount(duplicate_group).max(initial=0))
    if most >= _MANY and most > smallest * len(apart):
        raise UserError(
            f"{most:,} of {len(apart):,} rows have equal inputs and would share a split, of which "
            f"one has {smallest:.0%} of all; {advice}"
        )
    try:
        return by(duplicate_group)
    except UserError as error:
        by(apart)  # what fails with them apart, too, is told as it is
        raise UserError(f"{error}; {advice}") from None


@dataclass(frozen=True)
class SplitColumns:
    """Columns that decide the split; without one, rows are independent, and split at random.

    Rows of one `group` stay together, and depend on each other; by `time`, train is the past and
    test the future, with `gap` between them; `assigned` names the split itself, or, of a `file`
    that has the split, the column by which its rows are found.
    """

    group: str | None
    time: str | None
    assigned: str | None
    gap: str | None
    file: str | None = None

    def __post_init__(self) -> None:
        for option, (name,) in self.options.items():
            object.__setattr__(self, option, name)
        if self.file and not self.assigned:
            raise UserError(
                "data.sources.split says the split of each row; name the column by which they are "
                "found in both files: data.assigned"
            )
        if self.time and self.assigned:
            raise UserError(
                f"data.time={self.time} and data.assigned={self.assigned} both decide the split; "
                "leave one of them out"
            )
        if self.gap and not self.time:
            raise UserError(f"data.gap={self.gap} is between times; name their column: data.time")
        self._gap()

    @property
    def names(self) -> dict[str, str]:
        """The option that names a column, by the column."""
        return {name: option for option, (name,) in self.options.items()}

    @property
    def options(self) -> dict[str, tuple[str]]:
        """The column that an option names, by the option; as a table has it."""
        options = {"group": self.group, "time": self.time, "assigned": self.assigned}
        return {option: (normal(name),) for option, name in options.items() if name}

    @property
    def key(self) -> str:
        """The column that a file with the split has, too."""
        assert self.assigned
        return self.assigned

    @property
    def rule(self) -> str | None:
        """How rows are split, for a reader; None where no column decides."""
        if self.assigned and self.file:
            return f"as {self.file} says, by '{self.assigned}'"
        if self.assigned:
            return f"as the column '{self.assigned}' says"
        if self.time:
            gap = f"; rows within {self.gap} before either are left out" if self.gap else ""
            return f"by '{self.time}': the latest rows are test, those before validation{gap}"
        if self.group:
            return f"rows of one '{self.group}' stay together, the target in the same proportions"
        return None

    def columns(self, cells: pd.DataFrame, asked: Mapping[str, ReadAs]) -> dict[str, Column]:
        """What the named columns are read as, by their names.

        Raises:
            UserError: the times cannot be read, or in two ways.
        """
        read = {}
        for name, option in self.names.items():
            if option == "time":
                column = decide(name, cells[name], asked.get(name, "date"))
                if column.kind != "date":
                    raise UserError(f"data.time={name}, but {override(name, str(column.kind))}")
            elif option == "group" and name in asked:
                column = decide(name, cells[name], asked[name])
            elif asked.get(name, "category") != "category":
                raise UserError(f"data.{option}={name}, but {override(name, asked[name])}")
            else:
                column = Column("category", "", LITERAL)
            read[name] = replace(column, why=f"data.{option} names it")
        return read

    def left_out(self, name: str) -> str:
        """Why a column that decides the split is no input."""
        option = self.names[name]
        if self.file and option == "assigned":
            return f"{self.file} has the split beside it"
        how = "date" if option == "time" else "category"
        return f"data.{option} names it; to take it as an input, too: {override(name, how)}"

    def split(
        self,
        rows: pd.DataFrame,
        strata: Array,
        duplicate_group: Array,
        shares: tuple[float, float],
        seed: int,
    ) -> Array | None:
        """The name of each row's split (N,), None where no column decides.

        `shares` are those of test and validation. Where times or the user decide, of rows with
        equal inputs those in the later split are in none.

        Raises:
            UserError: a split is left without rows, or a cell names none.
        """
        if self.assigned:
            says = rows[BY_FILE if self.file else self.assigned]
            return split.without_copies(self._assigned(says), duplicate_group)
        if self.time:
            names = self._by_time(rows[self.time].to_numpy("datetime64[us]"), *shares)
            return split.without_copies(names, duplicate_group)
        if self.group:
            together = split.joined(rows[self.group].to_numpy(), duplicate_group)
            return split.grouped(together, strata, *shares, seed)
        return None

    def _assigned(self, cells: pd.Series[Any]) -> Array:
        names, where = cells.str.lower().map(_NAMES), self.file or f"column '{cells.name}'"
        for row in np.flatnonzero(names.isna()):
            raise UserError(
                f"{where} says '{cells.iloc[row]}'; expected one of {', '.join(_NAMES)}"
            )
        present = [name for name in split.SPLITS if (names == name).any()]
        if len(present) < len(split.SPLITS):
            absent = " and ".join(name for name in split.SPLITS if name not in present)
            raise UserError(f"{where} names no row of {absent}")
        return names.to_numpy(str)

    def _by_time(self, times: Array, test: float, validation: float) -> Array:
        ordered = np.sort(times)
        from_test = ordered[min(int(len(ordered) * (1 - test)), len(ordered) - 1)]
        from_validation = ordered[int(len(ordered) * (1 - test - validation))]
        return split.by_time(times, times + self._gap(), from_validation, from_test)

    def _gap(self) -> np.timedelta64:
        if self.gap is None:
            return np.timedelta64(0, "us")
        try:
            # of a number alone, pandas makes nanoseconds
            gap = pd.Timedelta(self.gap if np.isnan(Notation().value(self.gap)) else -1)
        except ValueError:
            gap = pd.Timedelta(-1)
        if gap < pd.Timedelta(0):
            raise UserError(f"data.gap={self.gap}; expected a duration, as '7 days' or '12 hours'")
        return gap.to_timedelta64()

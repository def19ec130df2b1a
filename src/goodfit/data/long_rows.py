"""Series in long form, a row for each step: how the columns are read, and the runs they make.

Letters: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from goodfit.data import delimited, features, moments, steps
from goodfit.data.base import Array
from goodfit.data.columns import Column, decide, is_missing
from goodfit.data.faults import Faults
from goodfit.data.moments import Clock
from goodfit.data.regular import Rules, Run, run
from goodfit.data.steps import Step
from goodfit.errors import UserError, nearest
from goodfit.records import ColumnRead
from goodfit.schema import ReadAs

Facts = Mapping[str, Any]
_SERIES = "mend them, leave them out, or for gaps choose data.gaps=fill"
# of a column of values; what else it may look like, a series is none
_READINGS = ("number", "decimal_point", "decimal_comma", "boolean")
SENT = "send the last steps of each series as they were in training"


@dataclass(frozen=True)
class Roles:
    """Which column is the time, which tells series apart, which are targets and covariates."""

    time: str
    group: str | None
    targets: tuple[str, ...]
    known: tuple[str, ...]
    observed: tuple[str, ...]

    @classmethod
    def named(
        cls,
        *,
        time: str,
        group: str | None,
        targets: Sequence[str],
        known: Sequence[str],
        observed: Sequence[str],
    ) -> Self:
        """From the names of the configuration.

        Raises:
            UserError: a column has two roles, or none is a target.
        """
        made = cls(
            delimited.normal(time),
            None if group is None else delimited.normal(group),
            *(tuple(map(delimited.normal, names)) for names in (targets, known, observed)),
        )
        names = made.names
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UserError(f"column '{twice[0]}' has two roles in data; name it once")
        if not made.targets:
            raise UserError("data.target names no column")
        return made

    @property
    def values(self) -> tuple[str, ...]:
        """The columns of numbers: targets, what is observed, what is known in advance."""
        return (*self.targets, *self.observed, *self.known)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that have a role."""
        return (self.time, *([] if self.group is None else [self.group]), *self.values)


@dataclass(frozen=True)
class Reading:
    """How the columns of a file are read, and the step between its rows."""

    roles: Roles
    clock: Clock
    step: Step
    columns: Mapping[str, Column]
    left_out: tuple[str, ...] = ()
    time_said: str = ""
    gaps: Any = "refuse"
    longest_gap: int = 1

    def with_gaps(self, gaps: str, longest_gap: int) -> Reading:
        """The same, with what is done about gaps."""
        return replace(self, gaps=gaps, longest_gap=longest_gap)

    def places(self, kind: str) -> list[int]:
        """Where the columns of a kind stand among the values."""
        return [self.roles.values.index(name) for name in getattr(self.roles, kind)]

    def text(self, ticks: Array) -> list[str]:
        """The times of steps with the numbers (N,), as the data write theirs: dates, or moments."""
        texts = self.clock.text(self.step.moments(ticks))
        is_date = self.step.by_day and not self.clock.zoned
        return [text[:10] for text in texts] if is_date else texts

    def rules(self) -> Rules:
        """What is done about gaps, for each series."""
        unknown = len(self.roles.targets) + len(self.roles.observed)
        return Rules(
            self.gaps,
            self.longest_gap,
            self.roles.time,
            self.roles.values,
            len(self.roles.targets),
            unknown,
            may_change=not self.clock.is_utc and self.clock.zone is None,
            grouped=self.roles.group is not None,
        )

    def facts(self) -> dict[str, Any]:
        """As spec.json holds it."""
        units = {self.columns[name].unit for name in self.roles.targets}
        roles = asdict(self.roles)
        return {
            **{
                name: list(part) if isinstance(part, tuple) else part
                for name, part in roles.items()
            },
            "clock": asdict(self.clock),
            "step": asdict(self.step),
            "columns": {name: column.to_facts() for name, column in self.columns.items()},
            "left_out": list(self.left_out),
            "time_said": self.time_said,
            "gaps": self.gaps,
            "longest_gap": self.longest_gap,
            "unit": units.pop() if len(units) == 1 else "",
        }

    @classmethod
    def of_facts(cls, facts: Facts) -> Reading:
        """From what spec.json holds."""
        roles = Roles(
            facts["time"],
            facts["group"],
            tuple(facts["targets"]),
            tuple(facts["known"]),
            tuple(facts["observed"]),
        )
        columns = {name: Column.of_facts(each) for name, each in facts["columns"].items()}
        return cls(
            roles,
            Clock(**facts["clock"]),
            Step(**facts["step"]),
            columns,
            gaps=facts["gaps"],
            longest_gap=facts["longest_gap"],
        )


def decided(
    file: str, cells: pd.DataFrame, roles: Roles, asked: Mapping[str, ReadAs], zone: str | None
) -> Reading:
    """How a file's columns of texts (N,) are read, and its step.

    Raises:
        UserError: a column is missing, is no number, or times have no form or step in common, or a
            reading is asked for that a column cannot have.
    """
    for name in (*roles.names, *asked):
        if name not in cells.columns:
            raise UserError(f"{file} lacks column '{name}'.{nearest(name, cells.columns)}")
    if cells.empty:
        raise UserError(f"{file} has a header but no rows")
    _check_asked(roles, asked)
    columns = {name: _column(cells[name], asked.get(name)) for name in roles.values}
    lines = _lines(cells)
    clock = moments.decided(roles.time, cells[roles.time], zone, lines, asked.get(roles.time))
    faults = Faults(file)
    times = moments.read(cells[roles.time], clock, faults, lines)
    faults.report("mend or drop them")

    groups = _groups(cells, roles.group, faults, lines)
    places = [np.flatnonzero(groups == name) for name in dict.fromkeys(groups)]
    utc, local = times.copy(), times.copy()
    for rows in places:
        utc[rows], local[rows] = moments.on_clock(
            times[rows], clock, roles.time, faults, lines[rows]
        )
    faults.report("mend or drop them")
    hours = (local - local.astype("datetime64[D]")).astype("int64")
    clock = replace(clock, by_day=clock.zone is not None and len(np.unique(hours)) == 1)
    counted = utc if clock.is_utc else local
    step = steps.found(roles.time, [np.sort(counted[rows]) for rows in places])
    left_out = tuple(str(name) for name in cells if name not in roles.names)
    said = "; ".join([f"a step is {step.words}", *moments.said(clock, cells[roles.time])])
    return Reading(roles, clock, step, columns, left_out, said)


def runs(name: str, rows: pd.DataFrame, reading: Reading, lines: Array | None = None) -> list[Run]:
    """The series of rows (N,) on the grid of their step, in the order in which they appear.

    `lines` (N,) are the rows by which faults of the table that `name` calls are told.

    Raises:
        CellsError: cells cannot be used, or times are missing, doubled or beside the grid.
    """
    in_use = lines is not None
    if lines is None:
        lines = _lines(rows)
    advice = SENT if in_use else _SERIES
    roles, faults = reading.roles, Faults(name)
    times = moments.read(rows[roles.time], reading.clock, faults, lines)
    groups = _groups(rows, roles.group, faults, lines)
    values = np.full((len(rows), len(roles.values)), np.nan)
    for place, column in enumerate(roles.values):
        known, missing = features.checked(rows[column], reading.columns[column], faults, lines)
        values[:, place] = np.where(missing, np.nan, known)
    faults.report(advice)

    made = []
    for group in dict.fromkeys(groups):
        places = np.flatnonzero(groups == group)
        utc, local = moments.on_clock(
            times[places], reading.clock, roles.time, faults, lines[places]
        )
        ticks, on_grid = reading.step.ticks(utc if reading.clock.is_utc else local)
        off = places[~on_grid & ~np.isnat(utc)]
        faults.add(roles.time, lines[off], f"is beside the step of {reading.step.words}")
        if len(off) or np.isnat(utc).any():
            continue
        made.append(
            run(group, ticks, values[places], lines[places], reading.step, reading.rules(), faults)
        )
    faults.report(advice)
    return made


def columns_read(facts: Facts, said: Sequence[str]) -> list[ColumnRead]:
    """What each column is to a forecast, for a reader."""
    read = [ColumnRead(facts["time"], "time", facts["time_said"])]
    if facts["group"]:
        read.append(ColumnRead(facts["group"], "group", "tells series apart"))
    why = {
        "targets": "is forecast",
        "known": "is known for the steps ahead",
        "observed": "is known up to the start of a forecast",
    }
    for kind, reason in why.items():
        for name in facts[kind]:
            column = facts["columns"][name]
            more = "; ".join(said) if kind == "targets" and name == facts["targets"][0] else ""
            words = "; ".join(filter(None, [reason, column["why"], more]))
            read.append(ColumnRead(name, column["kind"], words))
    unnamed = "is in none of data.target, data.known and data.observed"
    return read + [ColumnRead(name, None, unnamed) for name in facts["left_out"]]


def constant(runs_: Sequence[Run], targets: Sequence[str]) -> list[str]:
    """Series whose target never changes, in words."""
    names = []
    for each in runs_:
        for column in range(len(targets)):
            if np.ptp(each.values[:, column]) == 0:
                names.append(f"'{each.name or targets[column]}'")
    return [f"{', '.join(names)} is the same at every step"] if names else []


def _lines(cells: pd.DataFrame) -> Array:
    """The row of the file that each row (N,) is, counted from one."""
    return np.asarray(cells.index.to_numpy() + cells.attrs.get("first_row", 2))


def _check_asked(roles: Roles, asked: Mapping[str, ReadAs]) -> None:
    """No reading is asked for that would change nothing.

    Raises:
        UserError: one is, of the group, of a column without a role, or of one of numbers.
    """
    for name, how in asked.items():
        if name == roles.group:
            why = "it tells series apart, by its cells as they are written"
        elif name not in roles.names:
            why = "it is in none of data.target, data.known and data.observed"
        elif name in roles.values and how not in _READINGS:
            why = f"a series is of numbers; expected one of {', '.join(_READINGS)}"
        else:
            continue
        raise UserError(f"data.columns reads '{name}' as {how}, but {why}; leave it out there")


def _column(cells: pd.Series[Any], asked: ReadAs | None) -> Column:
    """A column of numbers, or of true and false."""
    name = str(cells.name)
    column = decide(name, cells, asked)
    if column.kind not in ("number", "boolean"):
        column = decide(name, cells, "number")
    return column


def _groups(rows: pd.DataFrame, group: str | None, faults: Faults, lines: Array) -> Array:
    """The name of each row's series, (N,)."""
    if group is None:
        return np.full(len(rows), "", object)
    names = np.array([group_of(cell) for cell in rows[group]], object)
    faults.add(group, lines[names == ""], "is missing; every row needs its series")
    return names


def group_of(cell: Any) -> str:
    """A cell as the name of a series: readers of files make 3.0 and 3 of "3"."""
    if is_missing(cell, Column("category", "", "literal")):
        return ""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()

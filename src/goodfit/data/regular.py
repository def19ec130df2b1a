"""Rows of series on a grid of equal steps: sorted, no time twice, gaps refused or filled.

A gap is filled with the value before it. What lies behind a gap, as interpolation uses, would tell
a forecast that starts there something of its target.

Letters: L steps of a series, V columns of values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from goodfit.data.faults import Faults
from goodfit.data.steps import DAY, Step

Array = np.ndarray[Any, Any]
Gaps = Literal["refuse", "fill"]
_MORNING = 4  # o'clock: later, no country changes its clocks
_CHANGED = 5  # equal steps of another length, one after the other: the frequency is another one


@dataclass(frozen=True)
class Rules:
    """What is done about gaps: none, or filled up to `longest` steps; names for messages.

    Of the `columns`, the first `targets` are targets, and the first `unknown` are known up to the
    start of a forecast alone. `may_change` says that times are of a clock that may be put forward
    or back, `grouped` that a column tells series apart.
    """

    gaps: Gaps
    longest: int
    time: str
    columns: tuple[str, ...]
    targets: int
    unknown: int
    may_change: bool
    grouped: bool


@dataclass(frozen=True)
class Run:
    """A series: `values` (L, V) at the steps from the number `first` on.

    `filled` (L, V) are those that the file lacks, `lines` (L,) the rows of the file, 0 where there
    is none. Behind the last known target there may be `ahead` steps of which only covariates are.
    """

    name: str
    first: int
    values: Array
    filled: Array
    lines: Array
    ahead: int = 0
    in_order: bool = True  # of time, in the file

    def __len__(self) -> int:
        return len(self.values)

    @property
    def ticks(self) -> Array:
        """The numbers of its steps, (L,)."""
        return self.first + np.arange(len(self))

    def known(self) -> Run:
        """The series up to its last target."""
        end = len(self) - self.ahead
        parts = (self.values[:end], self.filled[:end], self.lines[:end])
        return replace(self, values=parts[0], filled=parts[1], lines=parts[2], ahead=0)


def run(
    name: str, ticks: Array, values: Array, lines: Array, step: Step, rules: Rules, faults: Faults
) -> Run:
    """One series of rows (L,) with `values` (L, V), NaN where missing, in any order.

    What cannot be mended goes to `faults`; the run is then of no use.
    """
    in_order = bool((np.diff(ticks) >= 0).all())
    order = np.argsort(ticks, kind="stable")
    ticks, values, lines = ticks[order], values[order], lines[order]
    again = np.flatnonzero(np.diff(ticks) == 0) + 1
    for row in again:
        said = f"{_moment(step, ticks[row])}{_of(name)} is there twice, first in row"
        hint = _hint(step, ticks[row], rules)
        if not rules.grouped:
            hint += "; of several series, data.group names the column that tells them apart"
        faults.add(rules.time, [lines[row]], f"{said} {lines[row - 1]}{hint}")
    if len(again):
        ticks, first = np.unique(ticks, return_index=True)
        values, lines = values[first], lines[first]

    _check_steps(name, ticks, lines, step, rules, faults)
    length = int(ticks[-1] - ticks[0]) + 1
    placed = np.full((length, values.shape[1]), np.nan)
    placed[ticks - ticks[0]] = values
    rows = np.zeros(length, int)
    rows[ticks - ticks[0]] = lines

    absent = np.isnan(placed)
    without = absent[:, : rules.targets].all(1)
    ahead = length if without.all() else int(np.argmin(without[::-1]))
    within = absent.copy()
    within[length - ahead :, : rules.unknown] = False
    made = Run(name, int(ticks[0]), placed, within, rows, ahead, in_order)
    _check_cells(made, within, rules, faults)
    return replace(made, values=_forward(placed, within))


def _check_steps(
    name: str, ticks: Array, lines: Array, step: Step, rules: Rules, faults: Faults
) -> None:
    """Steps that are missing between rows are faults, where they are not to be filled."""
    apart = np.diff(ticks)
    changed = _changes(apart)
    for place in np.flatnonzero(apart > 1):
        missing = int(apart[place]) - 1
        row = lines[place + 1]
        if place in changed:
            said = f"from here on{_of(name)} the step is {apart[place]} times {step.words}"
            faults.add(rules.time, [row], f"{said}, which it is elsewhere")
            return
        steps = "1 step is" if missing == 1 else f"{missing} steps are"
        said = f"{steps} missing{_of(name)} between {_moment(step, ticks[place])} and this row"
        if rules.gaps == "refuse":
            faults.add(rules.time, [row], said + _hint(step, ticks[place], rules))
        elif missing > rules.longest:
            faults.add(rules.time, [row], f"{said}, and data.longest_gap={rules.longest}")


def _changes(apart: Array) -> set[int]:
    """The places at which a run of equal steps begins that are no single steps."""
    starts = set()
    begin = 0
    for place in range(1, len(apart) + 1):
        if place == len(apart) or apart[place] != apart[begin]:
            if apart[begin] > 1 and place - begin >= _CHANGED:
                starts.add(begin)
            begin = place
    return starts


def _check_cells(made: Run, absent: Array, rules: Rules, faults: Faults) -> None:
    """Cells that are missing in rows that are there, and gaps of them that are too long."""
    for column, title in enumerate(rules.columns):
        for begin, end in _stretches(absent[:, column]):
            rows = made.lines[begin:end]
            there = rows[rows > 0]
            if rules.gaps == "refuse":
                faults.add(title, there, "is missing")
            elif begin == 0:
                faults.add(title, there[:1], "is missing in the first row of its series")
            elif len(there) and end - begin > rules.longest:
                said = f"{end - begin} values are missing from here on"
                faults.add(title, there[:1], f"{said}, and data.longest_gap={rules.longest}")


def _stretches(flags: Array) -> Iterator[tuple[int, int]]:
    """Begin and end of each stretch of true flags (L,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _forward(values: Array, absent: Array) -> Array:
    """The values (L, V) with the last one that is there in each place that is `absent` (L, V)."""
    places = np.where(absent, 0, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(places, axis=0)
    return np.asarray(np.take_along_axis(values, last, axis=0))


def _moment(step: Step, tick: int) -> str:
    return str(step.moments(np.array([tick]))[0]).replace("T", " ")


def _hint(step: Step, tick: int, rules: Rules) -> str:
    """Clocks are changed in the night to a Sunday: an hour twice or never then has a reason."""
    moment = step.moments(np.array([tick]))[0].item()
    is_night = moment.weekday() == 6 and moment.hour < _MORNING and step.seconds in range(1, DAY)
    if not (rules.may_change and is_night):
        return ""
    return "; where clocks are changed, data.zone says whose, as Europe/Paris"


def _of(name: str) -> str:
    return f" of '{name}'" if name else ""


def filled(runs: Sequence[Run], targets: int) -> int:
    """How many steps of the series have a target that the file lacks."""
    return sum(int(each.filled[:, :targets].any(1).sum()) for each in runs)

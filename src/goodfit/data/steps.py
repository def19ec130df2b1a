"""The step between the times of series: found from most of them, and their places on its grid.

Letters: N times, S series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goodfit.errors import UserError

Array = np.ndarray[Any, Any]
MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK = 7 * DAY
_MONTH = np.timedelta64(27 * DAY, "s")  # from this on, steps are counted by the calendar
_UNITS = ((WEEK, "week"), (DAY, "day"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))


@dataclass(frozen=True)
class Step:
    """A number of seconds, or of months where `months` is not 0, counted from `anchor`.

    Times of months are at `day` of the month, 0 for the last one.
    """

    seconds: int
    months: int
    day: int
    anchor: str

    def ticks(self, moments: Array) -> tuple[Array, Array]:
        """The number of each time (N,), counted from the anchor, and which (N,) are on the grid."""
        start = np.datetime64(self.anchor, "s")
        if not self.months:
            apart = (moments - start).astype("int64")
            ticks = apart // self.seconds
            return ticks, apart % self.seconds == 0
        months = _months(moments) - int(_months(np.array([start]))[0])
        ticks = months // self.months
        return ticks, (months % self.months == 0) & (self.moments(ticks) == moments)

    def moments(self, ticks: Array) -> Array:
        """The times (N,) of numbers (N,): the inverse of `ticks`."""
        start = np.datetime64(self.anchor, "s")
        if not self.months:
            return np.asarray(start + (ticks * self.seconds).astype("timedelta64[s]"))
        within = start - start.astype("datetime64[D]")  # the time of day
        months = start.astype("datetime64[M]") + (ticks * self.months).astype("timedelta64[M]")
        last = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
        days = months.astype("datetime64[D]") + np.timedelta64(self.day - 1, "D")
        return np.asarray((np.minimum(days, last) if self.day else last) + within)

    @property
    def by_day(self) -> bool:
        """Whether all times are midnights."""
        return (self.months > 0 or self.seconds % DAY == 0) and self.anchor.endswith("T00:00:00")

    @property
    def words(self) -> str:
        """For a reader: 30 min, 1 h, 1 month."""
        if self.months:
            years = self.months // 12
            is_years = self.months % 12 == 0
            count, unit = (years, "year") if is_years else (self.months, "month")
        else:
            count, unit = _in_units(self.seconds)
        plural = "s" if count > 1 and unit in ("month", "year", "week", "day") else ""
        return f"{count} {unit}{plural}"

    @property
    def natural(self) -> tuple[int, ...]:
        """How many steps make what repeats itself by the calendar: a day, a week, a year."""
        if self.months:
            return (12 // self.months,) if 12 % self.months == 0 and self.months < 12 else ()
        if self.seconds == WEEK:
            return (52,)
        lengths = (HOUR, DAY, WEEK) if self.seconds < 15 * MINUTE else (DAY, WEEK)
        return tuple(
            length // self.seconds
            for length in lengths
            if self.seconds < length and length % self.seconds == 0
        )


def found(name: str, series: Sequence[Array]) -> Step:
    """The step that most times of `series` (S) of sorted moments (N,) keep.

    Raises:
        UserError: there are no two times, or no step has the majority.
    """
    apart = np.concatenate([np.diff(moments) for moments in series])
    apart = apart[apart > np.timedelta64(0, "s")]
    if not len(apart):
        raise UserError(f"column '{name}': no series has two different times; is data.group right?")
    first = min(moments[0] for moments in series)
    if np.median(apart.astype("int64")) >= _MONTH.astype("int64"):
        by_months = _by_months(series, first)
        if by_months:
            return by_months
    counts = Counter(apart.astype("int64").tolist())
    seconds, times = max(counts.items(), key=lambda item: (item[1], -item[0]))
    if 2 * times <= len(apart):
        shares = [
            f"{' '.join(map(str, _in_units(length)))} ({count / len(apart):.0%})"
            for length, count in counts.most_common(3)
        ]
        raise UserError(
            f"column '{name}': times have no common step: {', '.join(shares)}, ...; bring them to "
            "one, such as hours, before"
        )
    return Step(seconds, 0, 0, str(first))


def _by_months(series: Sequence[Array], first: Any) -> Step | None:
    """The step where all times are at one day of months, or at their last; None else."""
    moments = np.concatenate(list(series))
    days = (moments.astype("datetime64[D]") - moments.astype("datetime64[M]")).astype(int) + 1
    next_day = moments.astype("datetime64[D]") + np.timedelta64(1, "D")
    is_last = next_day == next_day.astype("datetime64[M]")
    day = 0 if is_last.all() else int(days.max())
    apart = np.concatenate([np.diff(_months(each)) for each in series])
    apart = apart[apart > 0]
    if not len(apart):
        return None
    months, times = Counter(apart.tolist()).most_common(1)[0]
    step = Step(0, int(months), day, str(first))
    fits = step.ticks(moments)[1].mean() > 0.5
    return step if fits and 2 * times > len(apart) else None


def _months(moments: Array) -> Array:
    """Months (N,) since 1970."""
    return np.asarray(moments.astype("datetime64[M]").astype("int64"))


def _in_units(seconds: int) -> tuple[int, str]:
    for length, unit in _UNITS:
        if seconds % length == 0:
            return seconds // length, unit
    raise AssertionError(seconds)

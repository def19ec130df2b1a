"""The times of rows: one notation in all cells, zones known; what is neither is refused by its row.

Letters: N cells of a column.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from goodfit.data import dates
from goodfit.data.faults import Faults, either, override, shown
from goodfit.errors import UserError
from goodfit.schema import ReadAs

Array = np.ndarray[Any, Any]
_ZONE = re.compile(r":\d{2}(?:[.,]\d+)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})$")
_CLOCK = re.compile(r"(?:T|,?\s+)\d{1,2}:\d{2}.*$")
_YEAR = re.compile(r"(?:1[5-9]|20)\d{2}")
_NOTHING = np.datetime64("NaT")
_ISO = "Y-0-0"  # the form of 2024-01-31, which nobody reads in two ways


@dataclass(frozen=True)
class Clock:
    """How the cells of a time column are read.

    `order` is that of day and month, `form` the date's digits as 0; `zoned` says that cells name
    their distance from UTC, `zone` the place whose clocks people there read, if it is known. By
    days, or longer steps, series go by the date there; by shorter ones by UTC.
    """

    order: dates.Order
    form: str
    zoned: bool
    zone: str | None
    by_day: bool = False

    @property
    def is_utc(self) -> bool:
        """Whether steps are counted on UTC: else on the clock that the cells show."""
        return (self.zoned or self.zone is not None) and not (self.zone and self.by_day)

    def local(self, moments: Array) -> Array:
        """What a clock there shows at moments (N,) on which steps are counted."""
        if not self.is_utc or self.zone is None:
            return moments
        shown_there = pd.DatetimeIndex(moments, tz="UTC").tz_convert(self.zone).tz_localize(None)
        return np.asarray(shown_there, "datetime64[s]")

    def text(self, moments: Array) -> list[str]:
        """Moments (N,) on which steps are counted, as the data write theirs, with ISO's marks."""
        if not self.zoned:
            there = self.local(moments).astype("datetime64[s]")
            return [str(moment).replace("T", " ") for moment in there]
        index = pd.DatetimeIndex(moments, tz="UTC" if self.is_utc else self.zone)
        zoned = index.tz_convert(self.zone) if self.zone else index
        return [moment.isoformat(sep=" ") for moment in zoned]


def decided(
    name: str, cells: pd.Series[Any], zone: str | None, lines: Array, asked: ReadAs | None = None
) -> Clock:
    """How a column of texts (N,) is read; `zone` and `asked` are what the configuration says.

    `lines` (N,) are the rows by which faults are told.

    Raises:
        UserError: there are no times, two readings, cells with a zone beside others without, no
            such zone, or something else than times is asked for.
    """
    _check_zone(zone)
    present = cells[cells != ""]
    order = _order(name, present, asked)
    if order is None:
        example = f", such as {shown(present.iloc[0])}" if len(present) else ""
        raise UserError(
            f"column '{name}': most cells are no times{example}; write them as 2024-01-31 13:45, "
            "or name another column by data.time"
        )
    zoned = [bool(_ZONE.search(cell)) for cell in present]
    if any(zoned) and not all(zoned):
        rows = lines[np.asarray(cells != "")]
        first, bare = (
            f"{shown(present.iloc[place])} in row {rows[place]}"
            for place in (int(np.argmax(zoned)), int(np.argmin(zoned)))
        )
        raise UserError(
            f"column '{name}' mixes times with a zone, as {first}, and without, as {bare}; write "
            "all with it"
        )
    form = Counter(_form(cell) for cell in present).most_common(1)[0][0]
    return Clock(order, form, any(zoned), zone)


def said(clock: Clock, cells: pd.Series[Any]) -> list[str]:
    """What a reader should know about how times (N,) are read."""
    parts = [clock.order.replace("_", " ")]
    offsets = {match[1] for cell in cells if (match := _ZONE.search(cell))}
    if len(offsets) > 1:
        parts.append(f"{len(offsets)} distances from UTC ({', '.join(sorted(offsets))})")
    if clock.zone:
        parts.append(f"hours and days are those of {clock.zone}")
    elif clock.zoned:
        parts.append("hours and days are those of UTC; data.zone=Europe/Paris would say others")
    else:
        parts.append("without a zone: no clock is put forward or back")
    return parts


def read(cells: pd.Series[Any], clock: Clock, faults: Faults, lines: Array) -> Array:
    """Moments (N,), datetime64[s], as the cells say: of UTC where they have a zone.

    NaT where a cell is none; `lines` (N,) are the rows by which `faults` are told. Where all cells
    are as ISO 8601 has them they are read so, whatever the form of the clock: programs write this,
    and so do answers. Of a mixture none is, since spreadsheets make one of days that they misread.
    """
    name = str(cells.name)
    texts = [_text(cell) for cell in cells]
    if {_form(text) for text in texts if text} == {_ISO}:
        clock = replace(clock, order="year_first", form=_ISO)
    known: dict[str, Any] = {}
    for text in dict.fromkeys(texts):
        known[text] = _moment(text, clock)
    for row, text in enumerate(texts):
        if text == "":
            faults.add(name, [lines[row]], "is missing; every row needs its time")
        elif isinstance(known[text], str):
            faults.add(name, [lines[row]], known[text])
    values = [_NOTHING if isinstance(known[text], str) else known[text] for text in texts]
    return np.array(values, "datetime64[s]")


def on_clock(
    moments: Array, clock: Clock, name: str, faults: Faults, lines: Array
) -> tuple[Array, Array]:
    """Moments (N,) of one series as UTC and as the clock of `zone` shows them, one at least known.

    Of an hour that comes twice a year, the rows of the file say by their order which one it is.
    """
    if clock.zone is None:
        return moments, moments
    if clock.zoned:
        there = pd.DatetimeIndex(moments, tz="UTC").tz_convert(clock.zone).tz_localize(None)
        return moments, np.asarray(there, "datetime64[s]")
    index = pd.DatetimeIndex(moments)
    try:
        zoned = index.tz_localize(clock.zone, ambiguous="infer", nonexistent="NaT")
    except ValueError:
        zoned = index.tz_localize(clock.zone, ambiguous="NaT", nonexistent="NaT")
    missing = np.isnat(zoned.to_numpy("datetime64[ns]")) & ~np.isnat(moments)
    # whether a second one follows is no question for days: all start after the clocks are changed
    if missing.any() and not _are_dates(moments):
        first_ones = np.ones(len(index), bool)
        forward = np.asarray(
            index.tz_localize(clock.zone, ambiguous=first_ones, nonexistent="NaT").isna()
        )
        for row in map(int, np.flatnonzero(missing)):
            problem = (
                f"{index[row]} does not exist in {clock.zone}, where clocks go forward"
                if forward[row]
                else f"{index[row]} comes twice in {clock.zone}, where clocks go back, and the "
                "rows do not tell which it is; write times with their distance from UTC"
            )
            faults.add(name, [lines[row]], problem)
    return np.asarray(zoned.tz_convert("UTC").tz_localize(None), "datetime64[s]"), moments


def _are_dates(moments: Array) -> bool:
    return bool((moments == moments.astype("datetime64[D]")).all())


def _moment(text: str, clock: Clock) -> Any:
    """The moment that a cell names, or what is wrong with it."""
    if clock.form == "Y" and _YEAR.fullmatch(text):
        return np.datetime64(text, "s")
    moment = dates.moment(text, clock.order)
    if moment is None:
        return f"{shown(text)} is no time ({clock.order.replace('_', ' ')})"
    if _form(text) != clock.form:
        return f"{shown(text)} is written in another form than the others ({clock.form})"
    if bool(_ZONE.search(text)) != clock.zoned:
        word = "lacks the zone that the others have" if clock.zoned else "has a zone, others none"
        return f"{shown(text)} {word}"
    if moment.microsecond:
        return f"{shown(text)} has parts of a second, which no step here has"
    return np.datetime64(moment, "s")


def _text(cell: Any) -> str:
    """A cell as a text: readers of files make moments of some, and a number of a year."""
    if cell is None or (
        not isinstance(cell, str) and pd.api.types.is_scalar(cell) and pd.isna(cell)
    ):
        return ""
    if isinstance(cell, date):  # and pd.Timestamp
        return str(pd.Timestamp(cell))
    if isinstance(cell, np.datetime64):
        return str(pd.Timestamp(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _form(text: str) -> str:
    """The date's notation: its digits as 0, a year of four as Y, its words as A."""
    day = _CLOCK.sub("", text)
    form = re.sub(r"\d+", lambda digits: "Y" if len(digits[0]) == 4 else "0", day)
    return re.sub(r"[^\W\d_YT]{2,}", "A", form)


def _order(name: str, present: pd.Series[Any], asked: ReadAs | None) -> dates.Order | None:
    """The order of day and month in texts (N,); None where most are no times."""
    if asked in ("day_first", "month_first"):
        return asked
    if asked not in (None, "date"):
        raise UserError(
            f"column '{name}' is the time, which is read as a date; got {override(name, asked)}, "
            f"expected {either(name, 'day_first', 'month_first')}, or none"
        )
    return "year_first" if _are_years(present) else dates.order(name, list(present))


def _are_years(present: pd.Series[Any]) -> bool:
    return len(present) > 0 and bool(present.str.fullmatch(_YEAR.pattern).all())


def _check_zone(zone: str | None) -> None:
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"data.zone={zone} is no time zone; expected one as Europe/Paris") from None

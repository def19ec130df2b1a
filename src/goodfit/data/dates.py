"""Dates as people write them: the order of day and month in a column's cells, and their moments.

Cells are texts without spaces around them. Letters: N cells of a column.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from goodfit.data.faults import either
from goodfit.errors import UserError

Array = np.ndarray[Any, Any]
Order = Literal["year_first", "day_first", "month_first"]

_TIME = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_NAMED_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?"
_NAMED_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_WEEKDAY = r"(?:[A-Za-z]{3,9}\.?,?\s+)?"
_SHORT_YEAR = r"(?P<year>\d{4}|\d{2})"
# of these no cell can be read in two ways
_CLEAR = (
    # any word before a number would be taken for a weekday: "Rev 2024-01"
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}\.?,?\s+)?"
    r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})(?:\2(?P<day>\d{1,2}))?",
    r"(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])",
    rf"{_WEEKDAY}{_NAMED_DAY}[ -]+{_NAMED_MONTH}[ ,-]+{_SHORT_YEAR}",
    rf"{_WEEKDAY}{_NAMED_MONTH}\s+{_NAMED_DAY},?\s+(?P<year>\d{{4}})",
    # without a day
    rf"{_NAMED_MONTH}[ ,/-]+(?P<year>\d{{4}})",
    r"(?P<month>0?[1-9]|1[0-2])[/-](?P<year>(?:19|20)\d{2})",
    r"(?P<month>0[1-9]|1[0-2])\.(?P<year>(?:19|20)\d{2})",
    r"(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])",
    r"(?P<year>\d{4})-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?",
    r"(?P<year>\d{4})[ -]?Q(?P<quarter>[1-4])",
    r"Q(?P<quarter>[1-4])[ /-]?(?P<year>\d{4})",
)
# what a number may look like, too, by how it would be told; where all cells of a column do, none is
_YEAR, _IN_YEAR, _IN_MONTH = r"(?:19|20)\d{2}", "(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_COMPACT = {
    "20240131": re.compile(_YEAR + _IN_YEAR + _IN_MONTH),
    "202401": re.compile(_YEAR + _IN_YEAR),
    "01.2024": re.compile(rf"{_IN_YEAR}\.{_YEAR}"),
    "2024.01": re.compile(rf"{_YEAR}\.{_IN_YEAR}"),
}
_DAY_FIRST = rf"(?P<day>\d{{1,2}})([-/.])(?P<month>\d{{1,2}})\2{_SHORT_YEAR}"
_MONTH_FIRST = rf"(?P<month>\d{{1,2}})([-/.])(?P<day>\d{{1,2}})\2{_SHORT_YEAR}"


# with AM and PM: 0:10 PM and 13:10 AM; 13:10 PM is written, too
_NO_HOURS = {(0, "p"), *((hour, "a") for hour in range(13, 24))}


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern + _TIME) for pattern in patterns)


_PATTERNS: dict[Order, tuple[re.Pattern[str], ...]] = {
    "year_first": _compiled(*_CLEAR),
    "day_first": _compiled(*_CLEAR, _DAY_FIRST),
    "month_first": _compiled(*_CLEAR, _MONTH_FIRST),
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def order(name: str, cells: Iterable[str] | Counter[str]) -> Order | None:
    """How most of the `cells` (N,) of column `name` write dates; None where most are no dates.

    They may be counted.

    Dots between the numbers mean that the day comes first, as wherever they are written so.

    Raises:
        UserError: the cells can be read in two ways, as "01/02/2024".
    """
    times = Counter(cells)
    counts = {each: _count(times, each) for each in _PATTERNS}
    best = max(counts.values())
    if 2 * best <= times.total():
        return None
    if counts["year_first"] == best:
        return "year_first"
    if counts["day_first"] != counts["month_first"]:
        return "day_first" if counts["day_first"] == best else "month_first"

    open_cells = [cell for cell in times if moment(cell, "year_first") is None]
    dotted = all("." in cell for cell in open_cells if moment(cell, "day_first"))
    if dotted:
        return "day_first"
    for cell in open_cells:
        readings = [moment(cell, each) for each in ("day_first", "month_first")]
        if None not in readings and readings[0] != readings[1]:
            first, second = (f"{reading:%-d %B %Y}" for reading in readings)
            raise UserError(
                f"column '{name}': '{cell}' may be {first} or {second}; choose "
                f"{either(name, 'day_first', 'month_first')}"
            )
    return "day_first"


def compact(cells: Collection[str]) -> str | None:
    """The form of dates that are digits, as "20240131", where all of the `cells` (N,) have it."""
    for form, pattern in _COMPACT.items():
        if not all(map(pattern.fullmatch, cells)):
            continue
        # 11.2024 alone may be a number, which 01.2024 is not
        if form != "01.2024" or any(cell.startswith("0") for cell in cells):
            return form
    return None


def conversions(cells: Iterable[str], day_order: Order) -> list[str]:
    """What `moment` decides for dates in this order, in words for a reader."""
    found = [parts for cell in cells if (parts := _parts(cell, day_order))]
    zoned = sum(bool(parts["zone"]) for parts in found)
    said = []
    if any(len(parts["year"] or "") == 2 for parts in found):
        said.append("years of two digits are 1969 to 2068")
    if zoned:
        others = ", those without are taken for it" if zoned < len(found) else ""
        said.append(f"times with a zone become UTC{others}")
    if any(parts.get("month") and not parts.get("day") for parts in found):
        said.append("without a day it is the first")
    if any(parts.get("week") and not parts["weekday"] for parts in found):
        said.append("a week is its Monday")
    if any(parts.get("quarter") for parts in found):
        said.append("a quarter is its first day")
    return said


def _count(times: Mapping[str, int], day_order: Order) -> int:
    """How many cells are dates in this order, from how often each cell occurs."""
    return sum(count for cell, count in times.items() if moment(cell, day_order))


def moment(cell: str, day_order: Order) -> datetime | None:
    """The moment that a cell names, without a zone; None where it is no date."""
    parts = _parts(cell, day_order)
    return _built(parts) if parts else None


def _parts(cell: str, day_order: Order) -> dict[str, str | None] | None:
    """What a cell that has the form of a date says of year, month, day, time and zone."""
    for pattern in _PATTERNS[day_order]:
        match = pattern.fullmatch(cell)
        if match:
            return match.groupdict()
    return None


def _built(parts: dict[str, str | None]) -> datetime | None:
    hour, half = int(parts["hour"] or 0), (parts["half"] or "").lower()
    minute, seconds = int(parts["minute"] or 0), float((parts["second"] or "0").replace(",", "."))
    offset = _offset(parts["zone"])
    # 60 is a leap second
    if seconds >= 61 or minute > 59 or hour > 23 or (hour, half) in _NO_HOURS or offset is None:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    time = timedelta(hours=hour, minutes=minute, seconds=seconds)
    try:
        return _day(parts) + time - offset
    except (ValueError, OverflowError):  # the 31st of February; before the year 1
        return None


def _day(parts: dict[str, str | None]) -> datetime:
    """Midnight of the day that the parts name.

    Raises:
        ValueError: there is no such day.
    """
    year = int(parts["year"] or 0)
    if parts.get("week"):
        return datetime.fromisocalendar(year, int(parts["week"] or 0), int(parts["weekday"] or 1))
    if parts.get("quarter"):
        return datetime(year, 3 * int(parts["quarter"] or 0) - 2, 1)
    if len(parts["year"] or "") == 2:
        year += 2000 if year < 69 else 1900  # as POSIX reads them
    return datetime(year, _month(parts["month"] or ""), int(parts.get("day") or 1))


def _month(text: str) -> int:
    """The number of a month, 0 where the text is none."""
    if text.isdigit():
        return int(text)
    short = text[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def _offset(zone: str | None) -> timedelta | None:
    """How far a zone is before Greenwich; None where no place is."""
    if zone is None or not zone[-1].isdigit():
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if minutes > 59 or 60 * hours + minutes > 14 * 60:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset


def features(values: Array, *, with_time: bool) -> Array:
    """Where dates (N,) stand in the year and the week, and in the day: (N, 4), with time (N, 6).

    Each is an angle as sine and cosine, so that December is as near to January as to November.
    """
    days = values.astype("datetime64[D]")
    year = values.astype("datetime64[Y]")
    of_year = (days - year.astype("datetime64[D]")).astype(float) / 365.25
    # 1 January 1970 was a Thursday
    of_week = ((days.astype(int) + 3) % 7) / 7
    turns = [of_year, of_week]
    if with_time:
        turns.append((values - days).astype("timedelta64[s]").astype(float) / 86_400)
    angles = 2 * np.pi * np.stack(turns, axis=1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

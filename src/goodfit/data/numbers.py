"""Numbers as people write them: the notation of a column's cells, and their values.

Cells are texts without spaces around them. Letters: N cells of a column.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from goodfit.data import plain
from goodfit.data.faults import either, override
from goodfit.errors import UserError

Decimal = Literal["decimal_point", "decimal_comma"]
POINT: Decimal = "decimal_point"

_SPACES = " \u00a0\u2009\u202f"
# groups of digits are set apart by these, too
_APOSTROPHES = "'\u2019"
_SIGNS = "+\\-\u2212\u2013"  # the minus of typographers, and the dash that Word makes of one
_MINUS = {"-", "\u2212", "\u2013"}
_MONEY = "[$€£¥₹₩₽]|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|BRL"
# "1st" counts, it does not measure; nor does the x of "0x1F"
_MEASURE = "[%‰°]|(?!st$|nd$|rd$|th$|[xX][0-9A-Fa-f]+$)[A-Za-zµμ°Ω][A-Za-zµμ°Ω0-9²³/%]{0,9}"
_CELL = re.compile(
    rf"(?P<open>\()?(?P<sign>[{_SIGNS}]?)[{_SPACES}]?(?P<before>(?:{_MONEY})?)[{_SPACES}]?"
    rf"(?P<inner>[{_SIGNS}]?)(?P<digits>[.,]?\d(?:[\d.,{_APOSTROPHES}{_SPACES}]*\d)?[.,]?)"
    rf"(?P<exponent>(?:[eE][+-]?\d+)?)[{_SPACES}]?(?P<after>(?:{_MONEY}|{_MEASURE})?)"
    r"(?P<behind>[-\u2212]?)(?P<close>\))?"
)
_PLAIN = re.compile(r"(?:\d+\.?\d*|\.\d+)")
_PADDED = r"0\d+\.\d+"
# without them a number is another one: 0.5 is not 0.5 %, and 5 is not 5 k
_SCALES = {*"%‰kKM", "Mio", "mio", "Mrd", "mn", "mln", "bn", "B"}
_MOST_UNITS = 4  # of more, what stands behind the digits is rather part of a code


def _whole(mark: str) -> str:
    """Digits in groups of three, or as in India of two before the last; no group begins with 0."""
    three = rf"[1-9]\d{{0,2}}(?:[{mark}]\d{{3}})+"
    two = rf"[1-9]\d?(?:[{mark}]\d{{2}})*[{mark}]\d{{3}}"
    return rf"(?:{three}|{two}|\d+)?"


_DIGITS: dict[Decimal, re.Pattern[str]] = {
    "decimal_point": re.compile(_whole(f",{_APOSTROPHES}{_SPACES}") + r"(?:\.\d*)?"),
    "decimal_comma": re.compile(_whole(f".{_APOSTROPHES}{_SPACES}") + r"(?:,\d*)?"),
}
_MARKS = {"decimal_point": ".", "decimal_comma": ","}
_TYPOGRAPHY = str.maketrans(dict.fromkeys(f"{_APOSTROPHES}{_SPACES}", ""))


class Notation(NamedTuple):
    """How a column writes its numbers: the mark before decimals, and the unit of each cell."""

    decimal: Decimal = POINT
    unit: str = ""

    def value(self, cell: str) -> float:
        """The number that a cell is in this notation, NaN where it is none."""
        found = _CELL.fullmatch(cell)
        if found is None or _unit(found) != self.unit or not _has_one_sign(found):
            return np.nan
        if not _DIGITS[self.decimal].fullmatch(found["digits"]):
            return np.nan
        mark = _MARKS[self.decimal]
        other = "," if mark == "." else "."
        digits = found["digits"].translate(_TYPOGRAPHY).replace(other, "").replace(mark, ".")
        negative = {found["sign"], found["inner"], found["behind"]} & _MINUS or found["open"]
        return float(f"{'-' if negative else ''}{digits}{found['exponent']}")


def looks_like_code(cells: plain.Counted) -> bool:
    """Whether digits name something: zeros in front, a phone number, more than a float holds.

    A single number of many digits is a mistake, and no reason to take the others for codes.
    """
    many, has_code = plain.codes(cells)
    return has_code or 2 * many >= cells.cells > 0 or _are_padded(cells.texts)


def _are_padded(texts: pd.Series[Any]) -> bool:
    """Whether zeros in front make all as wide before the point, as 01.11 and 10.11 of industries.

    A single 01.5 among numbers of any width is a typo.
    """
    if not texts.str.fullmatch(_PADDED).any():
        return False
    return len({len(text.partition(".")[0]) for text in texts}) == 1


def notation(
    name: str, cells: Iterable[str] | Counter[str], decimal: Decimal | None = None
) -> Notation | None:
    """The notation of most of the `cells` (N,) of column `name`; None where most are no numbers.

    They may be counted.

    `decimal` settles what the cells leave open.

    Raises:
        UserError: the cells can be read in two ways, as "1,234".
    """
    times = Counter(cells)
    units: Counter[str] = Counter()
    digits: dict[str, Counter[str]] = defaultdict(Counter)
    # where all cells end so, "1935-" means from then on
    if all(cell.endswith(("-", "\u2212")) for cell in times):
        return None
    for cell, count in times.items():
        match = _CELL.fullmatch(cell)
        if match and _has_one_sign(match):
            units[_unit(match)] += count
            digits[_unit(match)][match["digits"]] += count
    if not units:
        return None
    unit = units.most_common(1)[0][0]
    _refuse_several(name, unit, units, times.total())
    if 2 * units[unit] <= times.total():
        return None
    decimal = decimal or _decimal(name, digits[unit])
    fitting = sum(count for each, count in digits[unit].items() if _DIGITS[decimal].fullmatch(each))
    return Notation(decimal, unit) if 2 * fitting > times.total() else None


def _decimal(name: str, digits: Mapping[str, int]) -> Decimal:
    """The mark before decimals, from cells that only one of the two explains."""
    if all(_PLAIN.fullmatch(each) for each in digits):
        return POINT
    point, comma = (pattern.fullmatch for pattern in _DIGITS.values())
    only_point = sum(times for each, times in digits.items() if point(each) and not comma(each))
    only_comma = sum(times for each, times in digits.items() if comma(each) and not point(each))
    if only_point or only_comma:
        return "decimal_point" if only_point >= only_comma else "decimal_comma"

    for each in digits:
        readings = [Notation(decimal).value(each) for decimal in _DIGITS]
        if readings[0] != readings[1] and not np.isnan(readings).any():
            raise UserError(
                f"column '{name}': '{each}' may be {readings[0]:g} or {readings[1]:g}; choose "
                f"{either(name, 'decimal_point', 'decimal_comma')}"
            )
    return POINT


def _refuse_several(name: str, unit: str, units: Mapping[str, int], cells: int) -> None:
    """Numbers in several units would be compared as if they were in one.

    A few cells in another unit than most are listed as faults, with their rows.

    Raises:
        UserError: no unit is that of most of the `cells`, or some numbers lack one that scales.
    """
    total = sum(units.values())
    several = 2 * units[unit] <= cells < 2 * total and len(units) <= _MOST_UNITS
    unscaled = unit in _SCALES and units.get("") and 2 * units[unit] > cells
    if not several and not unscaled:
        return
    found = sorted(units.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{count} {f'in {each}' if each else 'without'}" for each, count in found)
    raise UserError(
        f"column '{name}': {total} cells are numbers in several units ({listed}); write all in "
        f"one, or take them as texts: {override(name, 'category')}"
    )


def _unit(match: re.Match[str]) -> str:
    return match["before"] or match["after"]


def _has_one_sign(match: re.Match[str]) -> bool:
    """(1,234) and 1,234- are -1,234, as bookkeepers write it; --5 and half a bracket are typos."""
    signs = [match[name] for name in ("open", "sign", "inner", "behind") if match[name]]
    return bool(match["open"]) == bool(match["close"]) and len(signs) <= 1

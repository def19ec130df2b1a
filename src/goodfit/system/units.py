"""Numbers, seconds and bytes as a reader wants them, in reports, messages and the terminal."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 3, sign: bool = False) -> str:
    """A number of three significant digits, never with an exponent: 0.0123, 1.50, 12,346.

    A negative one has a minus sign, not a hyphen; with `sign` a positive one has a plus.
    """
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return fixed(value, 0, sign)
    if abs(value) < 0.0001:
        return f"{MINUS if value < 0 else ''}<0.0001"
    magnitude = math.floor(math.log10(abs(value)))
    return fixed(value, max(0, digits - 1 - magnitude), sign)


def fixed(value: float, decimals: int, sign: bool = False) -> str:
    """A number of so many decimals, thousands separated; what rounds to zero has no sign."""
    text = f"{abs(value):,.{decimals}f}"
    is_zero = not any(digit in text for digit in "123456789")
    if is_zero:
        return text
    if value < 0:
        return MINUS + text
    return f"+{text}" if sign else text


def counted(count: int, what: str) -> str:
    """How many there are of what is called so in the singular: 1 file, 2 files, 1,234 rows."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def elapsed(seconds: float) -> str:
    """A time that passed, in one unit or two: 12 ms, 4.1 s, 29 s, 4 min 10 s, 1 h 5 min."""
    # each limit is where rounding would give the next unit's number: 0.9996 s is 1.0 s, not 1000 ms
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def remaining(seconds: float) -> str:
    """A time to wait, an estimate, in the largest unit of which it holds two: 90 s, 15 min, 3 h."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(number: float) -> str:
    """Bytes: 4.3 MB, 635 MB, 1.2 GB; of a thousand bytes a kB, as disks are sold."""
    if number >= 999.5e6:
        return f"{number / 1e9:,.1f} GB"
    return f"{number / 1e6:.0f} MB" if number >= 99.95e6 else f"{number / 1e6:.1f} MB"


def share(part: float, whole: float) -> str:
    """A percentage without decimals; 0 % and 100 % are exact."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99 < percent < 100 else f"{percent:.0f} %"

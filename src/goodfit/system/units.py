"""Seconds and bytes in words, for reports, messages and lines of progress."""

from __future__ import annotations


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

"""Quantities and dates in notations that are not read: a category for each would be a silent loss.

Cells are texts without spaces around them. Letters: N cells of a column.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from goodfit.data.faults import override, shown
from goodfit.errors import UserError

_NUMBER = r"[+-]?\d+(?:[.,]\d+)?"
_MONTHS = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_PARTS = r"(?:d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)"
# what cells are, how they would be read, and their forms
_NOTATIONS = (
    (
        "times of day or durations",
        "as one number, such as minutes",
        r"\d{1,3}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s*[ap]\.?m\.?)?",
        rf"(?:\d+\s*{_PARTS}\s*){{2,}}",
    ),
    (
        "fractions or days without a year",
        "as 0.5 or 2024-01-31",
        r"[+-]?(?:\d+[ -])?\d+\s?[/\u2044]\s?\d+",
        r"[+-]?\d*\s?[\u00bc-\u00be\u2150-\u215e]",
    ),
    (
        "numbers behind a sign, or hexadecimal ones",
        "as 355",
        rf"['\u2019~\u2248<>\u2264\u2265]=?\s*{_NUMBER}",
        r"0x[0-9a-f]+",
    ),
    (
        "numbers in powers, with an error or in groups of another kind",
        "as 1200 or 1.2e3",
        rf"{_NUMBER}\s*[x\u00d7*\u00b7]\s*10\s*(?:\^|\*\*)?\s*[+\-\u2212]?\d+",
        rf"{_NUMBER}\s*(?:\u00b1|\+/-|\+-)\s*{_NUMBER}",
        r"[+-]?\d{1,3}(?:_\d{3})+(?:\.\d+)?",
    ),
    (
        "dates",
        "as 2024-01-31, or 2024-01-31 13:45",
        r"\d{4}-\d{2}-\d{2}[T \-_]\d{2}.*",
        r"\d{8}[T \-_]?\d{4}(?:\d{2})?Z?",
        r"(?:[^\W\d_]+\.?,?\s+)?\d{1,2}\.?(?:\s+de)?[\s-]+[^\W\d_]{3,10}\.?(?:\s+de)?[\s-]+\d{4}.*",
        rf"[a-z]{{3}},?\s+{_MONTHS}\s+\d{{1,2}}\s+[\d:]+\s.*\d{{4}}",
        rf"\d{{1,2}}/{_MONTHS}/\d{{4}}.*",
        rf"{_MONTHS}[ '\u2019-]+\d{{2}}",
        rf"\d{{1,2}}\.?[ -]{_MONTHS}|{_MONTHS}\s\d{{1,2}}(?:st|nd|rd|th)",
        r"\d{1,2}\.\s?\d{1,2}\.",
        r"\d{4}\u5e74\d{1,2}\u6708(?:\d{1,2}\u65e5)?",
    ),
)
_FORMS = [
    (what, how, re.compile("(?:" + ")|(?:".join(forms) + ")", re.IGNORECASE))
    for what, how, *forms in _NOTATIONS
]


def refuse(name: str, cells: Iterable[str] | Counter[str]) -> None:
    """Nothing where the `cells` (N,) of the column `name` are texts; they may be counted.

    Raises:
        UserError: most of them are quantities or dates in a notation that is not read.
    """
    counts = Counter(cells)
    for what, how, pattern in _FORMS:
        found = [cell for cell in counts if pattern.fullmatch(cell)]
        times = sum(counts[cell] for cell in found)
        if 2 * times > counts.total():
            raise UserError(
                f"column '{name}': {times} of {counts.total()} cells look like {what}, such as "
                f"{shown(found[0])}, which is not read; write them {how}, or take them as texts: "
                f"{override(name, 'category')}"
            )

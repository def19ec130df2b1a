"""docs/faults.md and the tests speak of the same faults."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.compile(r"^\| (\d+) \| .* \| (.*) \|$", re.MULTILINE)
MARKS = re.compile(r"pytest\.mark\.fault\((\d+)\)")


def rows() -> dict[int, str]:
    """What docs/faults.md promises, by number."""
    return {
        int(number): promise
        for number, promise in ROWS.findall((ROOT / "docs/faults.md").read_text())
    }


def marked() -> set[int]:
    """The rows that a test says it plants."""
    numbers: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        numbers |= {int(number) for number in MARKS.findall(path.read_text())}
    return numbers


def test_every_row_is_planted_by_a_test_or_says_that_it_is_not() -> None:
    promised = rows().items()
    planted = {number for number, text in promised if not text.startswith("not planted: ")}
    assert planted == marked()


def test_the_rows_are_numbered_without_a_gap() -> None:
    numbers = [int(number) for number, _ in ROWS.findall((ROOT / "docs/faults.md").read_text())]
    assert numbers == list(range(1, len(numbers) + 1))

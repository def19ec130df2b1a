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
    return {
        int(found)
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in MARKS.findall(path.read_text())
    }


def test_every_row_is_planted_by_a_test_or_says_that_it_is_not() -> None:
    assert {
        number for number, promise in rows().items() if not promise.startswith("not planted: ")
    } == marked()


def test_the_rows_are_numbered_from_1_to_25() -> None:
    assert list(rows()) == list(range(1, 26))

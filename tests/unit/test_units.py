"""Seconds and bytes in words, at the edges where the unit changes."""

from __future__ import annotations

import pytest

from goodfit.system import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (3_960_000.0, "1,100 h 0 min"),
    ],
)
def test_a_time_that_passed(seconds: float, text: str) -> None:
    assert units.elapsed(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119.4, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (7200.0, "2 h")],
)
def test_a_time_to_wait(seconds: float, text: str) -> None:
    assert units.remaining(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(4_260_000, "4.3 MB"), (99_960_000, "100 MB"), (999_400_000, "999 MB"), (1e9, "1.0 GB")],
)
def test_a_number_of_bytes(number: float, text: str) -> None:
    assert units.size(number) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1234, "1,234 files")]
)
def test_one_is_counted_in_the_singular(count: int, text: str) -> None:
    assert units.counted(count, "file") == text

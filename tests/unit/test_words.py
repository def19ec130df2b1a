"""Numbers have sensible digits, and a difference for the worse is called one."""

from __future__ import annotations

import pytest

from goodfit.records import Comparison
from goodfit.records.interval import Interval
from goodfit.reporting import words


def test_a_worse_difference_is_turned_around_with_its_bounds() -> None:
    difference = Interval(-0.03, -0.05, -0.01)
    item = Comparison(title="old", role="strong", outcome=-1, difference=difference)
    assert words.difference(item) == "worse by 0.030 [0.010, 0.050]; the interval excludes zero"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.96460, "0.965"),
        (12345.6, "12,346"),
        (0, "0"),
        (-0.00476, "\N{MINUS SIGN}0.00476"),
        (3e-7, "<0.0001"),
    ],
)
def test_numbers_have_sensible_digits(value: float, written: str) -> None:
    assert words.number(value) == written


def test_probabilities_never_look_certain() -> None:
    written = [words.probability(value) for value in (0.9999994, 5e-7, 1.0, 0.5)]
    assert written == [">0.999", "<0.001", "1.000", "0.500"]

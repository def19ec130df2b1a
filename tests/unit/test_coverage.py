"""Every interval that is printed holds the truth as often as it says, also where units depend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import Case, cases
from goodfit.evaluation.bootstrap import interval
from goodfit.evaluation.trend import slope

# errors of epochs that happen to be independent: of a few points nobody can tell
_MAY_BE_WIDER = "errors correlate by 0.0"


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.what}, {case.units}")
def test_the_truth_is_held_as_often_as_promised(case: Case) -> None:
    share = case.share()
    assert share >= case.promised - 0.02
    assert share <= (1.0 if case.units == _MAY_BE_WIDER else case.promised + 0.02)


def test_an_interval_of_many_units_that_are_alike_is_that_of_the_percentiles() -> None:
    values = np.linspace(0, 1, 1001)
    found = interval(0.5, values, 10**9)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975), abs=1e-6)


def test_of_few_units_the_quantile_is_that_of_student_and_wider() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    found = interval(0.0, values, 8)
    reach = stats.t.ppf(0.975, 7) * (8 / 7) ** 0.5
    assert (found.low, found.high) == pytest.approx((-reach, reach), rel=0.02)


def test_a_long_tail_moves_both_ends_towards_it() -> None:
    values = np.random.default_rng(0).exponential(size=10_000)
    low, high = np.quantile(values, [0.025, 0.975])
    found = interval(1.0, values, 10**9)
    assert found.low > low
    assert found.high > high
    turned = interval(-1.0, -values, 10**9)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_undefined_values_are_left_out_and_equal_ones_have_no_width() -> None:
    found = interval(0.5, np.array([0.5, np.nan, 0.5]), 30)
    assert (found.low, found.high) == (0.5, 0.5)
    assert np.isnan(interval(0.5, np.array([np.nan]), 30).low)


def test_neighbours_that_resemble_each_other_make_a_slope_less_sure() -> None:
    """The same errors in another order: one wave, and one that goes up and down at each step."""
    slow = np.cos(np.linspace(0, 2 * np.pi, 16))  # even around the middle, so of no slope
    fast = slow[[0, 8, 1, 9, 2, 10, 3, 11, 11, 3, 10, 2, 9, 1, 8, 0]]
    smooth, rough = (slope(values) for values in (slow, fast))
    assert smooth is not None
    assert rough is not None
    assert smooth.high > 1.1 * rough.high


def test_a_slope_has_the_unit_of_its_points_and_no_other_origin() -> None:
    y = np.random.default_rng(1).normal(size=9)
    found, other = slope(y), slope(1000 * y + 5)
    assert found is not None
    assert other is not None
    assert (other.low, other.high) == pytest.approx((1000 * found.low, 1000 * found.high))

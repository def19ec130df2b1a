"""Features of the load forecast, by values worked out by hand; network and baseline see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from goodfit.baseline.base import Samples
from goodfit.baseline.lags import features
from goodfit.contract import DataSpec, Field
from goodfit.data.electricity import DAY, HISTORY, Electricity, reference

STD = 2.0
SPEC = DataSpec(
    data="x",
    kind="series",
    outputs=DAY,
    inputs={},
    targets={"target": Field((DAY,), "f4", (0.0,), (STD,))},
)
DAYS_KNOWN = HISTORY // DAY  # 15: fourteen, and the one that serves yesterday's reference
# of each day its number as the demand of all its half hours, the day to forecast is number 15
DEMAND = np.repeat(np.arange(float(DAYS_KNOWN)), DAY)


def encoded(start: str, workday: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    rows = pd.DataFrame({"start": [start], "demand": [DEMAND], "workday": [workday]})
    return {name: array[0] for name, array in Electricity.encode(rows, SPEC).items()}


def work(*working: int) -> np.ndarray[Any, Any]:
    """Flags of 17 days, one of each half hour: the known ones, the forecast one, the next."""
    flags = np.isin(np.arange(DAYS_KNOWN + 2), working)
    return np.repeat(flags.astype(float), DAY)


@pytest.mark.parametrize(
    ("working", "expected"),
    [
        ((15, 14, 12, 7, 3), (14 + 12 + 7) / 3),  # the last three alike, however long ago
        ((15, 9), 9.0),  # fewer than three: those there are
        ((15,), 14.0),  # none: the day before
        ((), (14 + 13 + 12) / 3),  # a day off is like days off
    ],
)
def test_the_reference_is_the_mean_of_the_last_three_days_alike(
    working: tuple[int, ...], expected: float
) -> None:
    said = reference(DEMAND[None], work(*working)[None], HISTORY)
    assert said == pytest.approx(np.full((1, DAY), expected))


def test_lags_are_the_reference_and_the_demand_of_earlier_days() -> None:
    lags = encoded("2014-01-06", work())["lags"]
    yesterdays_reference = (13 + 12 + 11) / 3
    assert lags == pytest.approx(np.tile([13.0, 14.0, 13.0, 8.0, yesterdays_reference], (DAY, 1)))


def test_errors_are_those_of_yesterdays_reference_in_deviations() -> None:
    error = (14 - (13 + 12 + 11) / 3) / STD
    assert encoded("2014-01-06", work())["known"][:, 8:11] == pytest.approx(error)


def test_the_calendar_follows_the_clock_over_midnight() -> None:
    """From noon of a Monday: 24 half hours of Monday, then 24 of Tuesday."""
    known = encoded("2014-01-06 12:00", work())["known"]
    assert known[:, 11:].argmax(1).tolist() == [0] * 24 + [1] * 24
    assert known[0, :4] == pytest.approx([0, -1, 0, 1], abs=1e-6)  # noon is half a turn
    assert known[24, :4] == pytest.approx([0, 1, 0, 1], abs=1e-6)  # midnight is none


def test_flags_are_of_the_day_yesterday_a_week_ago_and_the_day_after() -> None:
    for position, day in enumerate((15, 14, 8, 16)):
        flags = encoded("2014-01-06", work(day))["known"][:, 4:8]
        assert flags.mean(0).tolist() == np.eye(4)[position].tolist()


def test_past_days_have_their_weekday_and_share_of_work() -> None:
    days = encoded("2014-01-06", work(14))["days"]  # a Monday; the last past day is a Sunday
    assert days[:, 1:].argmax(1).tolist() == [0, 1, 2, 3, 4, 5, 6] * 2
    assert days[:, 0].tolist() == [0.0] * 13 + [1.0]


def test_boosting_sees_each_step_with_its_own_past_and_the_last_day_and_week() -> None:
    past = np.arange(28.0).reshape(1, 7, 4)  # seven days of four steps
    lags, known = np.full((1, 4, 1), 100.0), np.full((1, 4, 1), 200.0)
    samples = Samples({"past": past, "lags": lags, "known": known}, pd.DataFrame(index=[0]))
    step = 2
    expected = [
        *(2, 6, 10, 14, 18, 22, 26),  # the same step of each day
        *(100, 200),
        *(24, 25, 26, 27),  # the last four values
        *(25.5, 27, 13.5),  # mean and maximum of the last day, mean of the week
        step,
    ]
    assert features(samples)[step].tolist() == expected

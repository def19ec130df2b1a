"""Dates as people write them: each form with its moment, and those that have two readings."""

from __future__ import annotations

import numpy as np
import pytest

from goodfit.data.dates import features, moment, order
from goodfit.errors import UserError

QUARTER = "2024-03-05T13:45"


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-03-05", "2024-3-6"], ["2024-03-05", "2024-03-06"]),
        (
            ["2024-03-05 13:45", "2024-03-05T13:45:12.5Z"],
            ["2024-03-05T13:45", "2024-03-05T13:45:12.5"],
        ),
        (
            ["2024-03-05T13:45+02:00", "2024-03-05T23:00-0130"],
            ["2024-03-05T11:45", "2024-03-06T00:30"],
        ),
        (["Tue 2024-03-05", "Friday, 2024-03-08"], ["2024-03-05", "2024-03-08"]),
        (["2024/03/05", "2024/12/31"], ["2024-03-05", "2024-12-31"]),
        (["2024-03", "2024-04"], ["2024-03-01", "2024-04-01"]),
        (["20240305", "20241231"], ["2024-03-05", "2024-12-31"]),
        (["05.03.2024", "6.3.24"], ["2024-03-05", "2024-03-06"]),
        (["01/02/2024", "13/04/2024"], ["2024-02-01", "2024-04-13"]),
        (["01/02/2024", "01/22/2024"], ["2024-01-02", "2024-01-22"]),
        (["3/4/24 5:06 PM", "3/24/24 12:06 a.m."], ["2024-03-04T17:06", "2024-03-24T00:06"]),
        (["5 Mar 2024", "March 5, 2024"], ["2024-03-05", "2024-03-05"]),
        (["Tue, 5 Mar 2024 10:00", "05-Mar-68"], ["2024-03-05T10:00", "2068-03-05"]),
        (["Mar 2024", "April 2024", "05/2024"], ["2024-03-01", "2024-04-01", "2024-05-01"]),
        (["202403", "202412"], ["2024-03-01", "2024-12-01"]),
        (["03.2024", "12.2024"], ["2024-03-01", "2024-12-01"]),
        (["2024-W10", "2024W53", "2020-W53-7"], ["2024-03-04", None, "2021-01-03"]),
        (["2024Q1", "2024-Q4", "Q2 2024"], ["2024-01-01", "2024-10-01", "2024-04-01"]),
        (["2024-03-05 23:59:60", "2024-03-05 12:00"], ["2024-03-06", "2024-03-05T12:00"]),
    ],
)
def test_a_form_is_found_and_read(cells: list[str], expected: list[str | None]) -> None:
    day_order = order("x", cells)
    assert day_order is not None
    found = [moment(cell, day_order) for cell in cells]
    assert found == np.array(expected, "datetime64[us]").tolist()


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "cell",
    [
        "2023-02-29",
        "2024-03-05 23:59:75",
        "2024-03-05 23:60",
        "2024-03-05 24:00",
        "2024-03-05 13:10 AM",
        "2024-03-05 0:10 PM",
        "2024-03-05T10:00+99:99",
        "2024-03-05T10:00+05:75",
        "0001-01-01T00:00+02:00",
        "9999-12-31T23:00-02:00",
        "2023-W53",
        "2024-Q5",
        "2024-W10-8",
        "Rev 2024-01",
    ],
)
def test_a_moment_that_never_was_is_none(cell: str) -> None:
    assert moment(cell, "year_first") is None


@pytest.mark.fault(26)
def test_two_readings_are_refused_by_name() -> None:
    with pytest.raises(UserError) as error:
        order("x", ["01/02/2024", "03/04/2024"])
    assert str(error.value) == (
        "column 'x': '01/02/2024' may be 1 February 2024 or 2 January 2024; choose "
        "data.columns.x=day_first or =month_first"
    )


def test_days_that_are_equal_either_way_need_no_choice() -> None:
    assert order("x", ["01/01/2024", "02/02/2024"]) == "day_first"


@pytest.mark.parametrize("cells", [["141", "150"], ["1.5", "2.5"], ["31.02.2024"], ["may", "june"]])
def test_what_is_no_date_is_none(cells: list[str]) -> None:
    assert order("x", cells) is None


def test_december_is_as_near_to_january_as_november_is() -> None:
    days = np.array(["2023-12-16", "2024-01-16", "2023-11-15"], "datetime64[us]")
    december, january, november = features(days, with_time=False)[:, [0, 2]]  # of the year
    forth = np.linalg.norm(december - january)
    assert forth == pytest.approx(np.linalg.norm(december - november), abs=0.01)
    assert forth == pytest.approx(2 * np.sin(np.pi * 31 / 365.25), abs=0.01)


def test_monday_and_midnight_are_where_the_circles_begin() -> None:
    monday = np.array(["2024-03-04T00:00", "2024-03-04T06:00"], "datetime64[us]")
    sines, cosines = (
        features(monday, with_time=True)[:, 1:3],
        features(monday, with_time=True)[:, 4:],
    )
    assert sines == pytest.approx(np.array([[0, 0], [0, 1]]), abs=1e-12)
    assert cosines == pytest.approx(np.array([[1, 1], [1, 0]]), abs=1e-12)

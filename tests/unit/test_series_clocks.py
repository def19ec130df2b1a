"""Times with zones, and clocks that go forward and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_series import fitted, hours, made, read

from goodfit.data.windows import encode
from goodfit.errors import UserError

ZONE = "Europe/Berlin"
_TWICE = (
    r"row 53  column time  2024-10-27 02:00:00 is there twice, first in row 52; "
    r"where clocks are changed, data.zone says whose"
)


def local(start: str, count: int, freq: str = "h", *, offset: bool) -> pd.DataFrame:
    """A series by the clocks of Berlin, with the distance from UTC or without."""
    times = pd.date_range(start, periods=count, freq=freq, tz=ZONE)
    form = "%Y-%m-%d %H:%M:%S%z" if offset else "%Y-%m-%d %H:%M:%S"
    return hours(count).assign(time=times.strftime(form))


@pytest.mark.parametrize("start", ["2024-03-29", "2024-10-25"])
@pytest.mark.parametrize("offset", [True, False])
def test_hours_are_regular_where_clocks_are_changed(
    tmp_path: Path, start: str, offset: bool
) -> None:
    windows, spec = fitted(tmp_path, local(start, 120, offset=offset), zone=ZONE)
    assert spec.facts["step"] == "1 h"
    expected = pd.date_range(start, periods=120, freq="h", tz=ZONE)[windows["tick"]]
    shown = [moment.isoformat(sep=" ")[: 25 if offset else 19] for moment in expected]
    assert list(windows["start"]) == shown


@pytest.mark.parametrize(
    ("freq", "offset", "zone"),
    [
        ("h", True, ZONE),
        ("h", False, ZONE),
        ("h", True, None),
        ("h", False, None),
        ("D", True, ZONE),
        ("D", False, ZONE),
        ("D", False, None),
    ],
)
def test_what_is_sent_is_received_in_every_notation(
    tmp_path: Path, freq: str, offset: bool, zone: str | None
) -> None:
    start = "2024-03-29" if freq == "D" else "2024-04-10"
    data = made(zone=zone)
    windows = read(tmp_path, local(start, 120, freq, offset=offset), data)
    spec = data.fit(windows[windows["split"] == "train"])
    for _, window in windows.groupby("tick"):
        received = data.received(data.sent(window), spec)
        assert received["start"].tolist() == window["start"].tolist()
        assert received["tick"].tolist() == window["tick"].tolist()


def test_the_hour_of_the_calendar_is_that_of_the_place(tmp_path: Path) -> None:
    windows, spec = fitted(tmp_path, local("2024-03-29", 120, offset=True), zone=ZONE)
    known = encode(windows, spec.facts["series"])["known"]
    turn = np.arctan2(known[:, 0, 0], known[:, 0, 1]) / (2 * np.pi) % 1
    hour = [pd.Timestamp(start).hour for start in windows["start"]]
    assert np.allclose(turn * 24 % 24, hour, atol=1e-4)


def test_days_of_a_zone_are_days_though_some_have_23_hours(tmp_path: Path) -> None:
    rows = local("2024-01-01", 120, "D", offset=True)
    _, spec = fitted(tmp_path, rows, zone=ZONE)
    assert spec.facts["step"] == "1 day"
    with pytest.raises(UserError, match="is beside the step of 1 day"):
        read(tmp_path, rows)


@pytest.mark.fault(72)
def test_without_a_zone_the_hour_that_comes_twice_is_refused_by_its_row(tmp_path: Path) -> None:
    rows = local("2024-10-25", 120, offset=False)
    with pytest.raises(UserError, match=_TWICE):
        read(tmp_path, rows)


def test_without_a_zone_the_hour_that_never_was_is_refused_by_its_row(tmp_path: Path) -> None:
    rows = local("2024-03-29", 120, offset=False)
    message = "1 step is missing between 2024-03-31 01:00:00 and this row; where clocks are changed"
    with pytest.raises(UserError, match=message):
        read(tmp_path, rows)


def test_a_time_that_no_clock_showed_is_refused(tmp_path: Path) -> None:
    rows = hours(120, "2024-03-29")
    with pytest.raises(UserError, match=r"2024-03-31 02:00:00 does not exist in Europe/Berlin"):
        read(tmp_path, rows, zone=ZONE)


def test_an_hour_that_may_be_the_first_or_the_second_is_refused(tmp_path: Path) -> None:
    rows = local("2024-10-25", 120, offset=False).drop_duplicates("time")
    with pytest.raises(UserError, match=r"2024-10-27 02:00:00 comes twice in Europe/Berlin"):
        read(tmp_path, rows, zone=ZONE)


def test_several_distances_from_utc_are_said(tmp_path: Path) -> None:
    windows = read(tmp_path, local("2024-03-29", 120, offset=True))
    assert "2 distances from UTC (+0100, +0200)" in windows.attrs["series"]["time_said"]


def test_a_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.zone=Europe/Nowhere is no time zone"):
        read(tmp_path, hours(100), zone="Europe/Nowhere")

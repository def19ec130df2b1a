"""Times with zones, and clocks that go forward and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_series import fitted, hours, made, read

from goodfit.data import long_rows
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


@pytest.mark.slow
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


def written(form: str, freq: str, count: int = 120) -> pd.DataFrame:
    """A series whose times, from a day that is no month on, are written in a form of strftime."""
    times = pd.date_range("1970-01-20", periods=count, freq=freq)
    return hours(count).assign(time=times.strftime(form))


@pytest.mark.fault(72)
@pytest.mark.parametrize(
    ("form", "freq"),
    [
        ("%d.%m.%Y", "D"),
        ("%m/%d/%Y", "D"),
        ("%d.%m.%Y %H:%M", "h"),
        ("%m/%d/%y %I:%M %p", "h"),
        ("%d %B %Y", "D"),
        ("%Y/%m/%d", "D"),
        ("%Y%m%d", "D"),
        ("%Y-%m", "MS"),
        ("%b %Y", "MS"),
        ("%G-W%V", "W-MON"),
        ("%Y", "YS"),
    ],
)
def test_the_form_of_the_file_and_iso_are_the_same_in_use(
    tmp_path: Path, form: str, freq: str
) -> None:
    rows = written(form, freq)
    data = made()
    windows = read(tmp_path, rows, data)
    spec = data.fit(windows[windows["split"] == "train"])
    first = windows[windows["tick"] == windows["tick"].max()]
    sent = data.sent(first)
    assert sent["time"].str.match(r"\d{4}-\d\d-\d\d( \d\d:00:00)?$").all()
    by_iso = data.received(sent, spec)
    as_in_the_file = rows.iloc[int(first["tick"].iloc[0]) - 12 :][: len(sent)]
    by_form = data.received(as_in_the_file, spec)
    by_moments = data.received(sent.assign(time=pd.to_datetime(sent["time"])), spec)
    for received in (by_form, by_moments):
        assert by_iso["start"].tolist() == received["start"].tolist() == first["start"].tolist()
        assert np.array_equal(by_iso["past"].iloc[0], received["past"].iloc[0])


@pytest.mark.fault(72)
def test_iso_beside_another_form_is_refused_as_days_may_be_misread(tmp_path: Path) -> None:
    """A spreadsheet makes 2024-02-01 of the text 01/02/2024, and leaves 13/02/2024 as it is."""
    rows = written("%d/%m/%Y", "D")
    data = made()
    windows = read(tmp_path, rows, data)
    spec = data.fit(windows[windows["split"] == "train"])
    rows.loc[100, "time"] = "1970-04-30"
    message = r"'1970-04-30' is written in another form than the others \(0/0/Y\)"
    with pytest.raises(UserError, match=message):
        data.received(rows, spec)
    with pytest.raises(UserError, match=message):
        read(tmp_path, rows)


@pytest.mark.parametrize(("asked", "step"), [("day_first", "1 month"), ("month_first", "1 day")])
def test_the_advised_order_of_day_and_month_settles_the_times(
    tmp_path: Path, asked: str, step: str
) -> None:
    rows = written("%d/%m/%Y", "MS", 11)
    with pytest.raises(UserError, match=r"choose data\.columns\.time=day_first or =month_first"):
        read(tmp_path, rows)
    cells = rows.astype(str)
    reading = long_rows.decided("rows.csv", cells, made().roles, {"time": asked}, None)
    assert (reading.step.words, reading.clock.order) == (step, asked)


def test_a_time_is_read_as_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got data\.columns\.time=category, expected data\.col"):
        read(tmp_path, hours(100), columns={"time": "category"})

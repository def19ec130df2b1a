"""Series of a user's own: what is read exactly, what is refused by its row, what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_series import fitted, hours, made, read

from goodfit.data.series import Series
from goodfit.errors import UserError


def said(windows: Any) -> str:
    return "; ".join([*windows.attrs["series"]["said"], windows.attrs["series"]["time_said"]])


def equal(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    columns = ["group", "variable", "start", "tick", "split"]
    alike = first[columns].equals(second[columns])
    pairs = zip(first["target"], second["target"], strict=True)
    return alike and all(np.array_equal(*pair) for pair in pairs)


def test_unsorted_rows_give_the_same_windows_and_are_said(tmp_path: Path) -> None:
    rows = hours(100)
    expected = read(tmp_path, rows)
    shuffled = read(tmp_path, rows.sample(frac=1, random_state=0))
    assert equal(expected, shuffled)
    assert "rows are sorted by time" in said(shuffled)
    assert "rows are sorted" not in said(expected)


@pytest.mark.fault(72)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: pd.concat([rows, rows.iloc[[7]]]),
            "row 102  column time  2024-01-01 07:00:00 is there twice, first in row 9",
        ),
        (
            lambda rows: rows.drop(index=[50, 51]),
            "row 52  column time  2 steps are missing between 2024-01-03 01:00:00 and this row",
        ),
        (
            lambda rows: rows.assign(load=rows["load"].where(rows.index != 40)),
            "row 42  column load  is missing",
        ),
        (
            lambda rows: rows.assign(
                load=rows["load"].astype(object).where(rows.index != 40, "?x")
            ),
            "row 42  column load  '?x' is not a finite number",
        ),
        (
            lambda rows: rows.assign(time=rows["time"].where(rows.index != 5, "")),
            "row 7  column time  is missing; every row needs its time",
        ),
        (
            lambda rows: rows.assign(time=rows["time"].where(rows.index != 5, "05.01.2024 05:00")),
            "row 7  column time  '05.01.2024 05:00' is written in another form than the others",
        ),
        (
            lambda rows: rows.assign(time=rows["time"].where(rows.index != 5, "2024/01/01 05:00")),
            r"row 7  column time  '2024/01/01 05:00' is written in another form than the others",
        ),
        (
            lambda rows: rows.assign(time=rows["time"].where(rows.index < 60, rows["time"] + "Z")),
            "mixes times with a zone, as '2024-01-03 12:00:00Z' in row 62, and without, as "
            "'2024-01-01 00:00:00' in row 2",
        ),
        (
            lambda rows: rows.assign(
                time=rows["time"].where(rows.index != 5, "2024-01-01 05:10:00")
            ),
            "row 7  column time  is beside the step of 1 h",
        ),
        (
            lambda rows: rows[(rows.index < 60) | (rows.index % 2 == 0)],
            "row 63  column time  from here on the step is 2 times 1 h, which it is elsewhere",
        ),
        (
            lambda rows: rows.assign(load=5.0),
            "load is the same in all of train: nothing to learn",
        ),
    ],
)
def test_a_fault_is_refused_by_its_row(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        fitted(tmp_path, change(hours(100)))
    assert message in str(error.value)


def test_a_frequency_that_changes_is_not_filled(tmp_path: Path) -> None:
    rows = hours(100)
    with pytest.raises(UserError, match="from here on the step is 2 times 1 h"):
        read(tmp_path, rows[(rows.index < 60) | (rows.index % 2 == 0)], gaps="fill")


def test_no_common_step_is_refused_with_those_that_occur(tmp_path: Path) -> None:
    rows = hours(60)
    times = pd.to_datetime(rows["time"]) + pd.to_timedelta(np.arange(60) ** 2, unit="min")
    with pytest.raises(UserError, match="times have no common step: "):
        read(tmp_path, rows.assign(time=times))


@pytest.mark.fault(72)
def test_a_filled_step_has_the_value_before_it_and_is_in_no_target(tmp_path: Path) -> None:
    rows = hours(100)
    windows = read(tmp_path, rows.drop(index=[50]), gaps="fill")
    assert "1 step filled with the value before, and in no target" in said(windows)
    places = windows["tick"].to_numpy()[:, None] + np.arange(4)
    assert not (places == 50).any()
    pasts = windows[(windows["tick"] > 50) & (windows["tick"] < 62)]
    for _, window in pasts.iterrows():
        assert window["past"][50 - window["tick"]] == rows["load"][49]
    # in use, nothing would be there to fill a first step from
    assert 62 not in set(windows["tick"])


def test_a_gap_that_is_longer_than_allowed_is_not_filled(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"4 steps are missing .*, and data.longest_gap=3"):
        read(tmp_path, hours(100).drop(index=[50, 51, 52, 53]), gaps="fill")


def test_a_filled_past_does_not_depend_on_what_comes_later(tmp_path: Path) -> None:
    rows = hours(100).drop(index=[50])
    later = rows.assign(load=rows["load"].where(rows.index < 51, 99.0))
    first, second = (read(tmp_path, each, gaps="fill") for each in (rows, later))
    pasts = [windows[windows["tick"] == 51]["past"].iloc[0] for windows in (first, second)]
    assert np.array_equal(*pasts)


def two(lengths: tuple[int, int]) -> pd.DataFrame:
    """Two series that begin together."""
    parts = [hours(length).assign(meter=name) for name, length in zip("ab", lengths, strict=True)]
    return pd.concat(parts, ignore_index=True)


def test_splits_are_at_the_same_moments_of_series_of_different_lengths(tmp_path: Path) -> None:
    windows = read(tmp_path, two((100, 90)), group="meter", gap=3)
    last = windows["tick"] + 3
    for name, (begin, end) in {
        "train": (12, 65 - 3),
        "validation": (65, 80 - 3),
        "test": (80, 100),
    }.items():
        inside = windows["split"] == name
        assert inside.any()
        assert windows["tick"][inside].min() >= begin
        assert last[inside].max() < end
    of_test = windows[windows["split"] == "test"]
    assert sorted(of_test["tick"]) == [80, 80, 84, 84, 88, 92, 96]
    assert "2 series of 90 to 100 steps" in said(windows)


def test_a_series_that_is_too_short_is_refused_or_left_out_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 2 series have no sample .*: 'b' \(15 steps\)"):
        read(tmp_path, two((100, 15)), group="meter")
    windows = read(tmp_path, two((100, 15)), group="meter", short="leave_out")
    assert set(windows["group"]) == {"a"}
    assert "1 series are too short and left out: 'b' (15 steps)" in said(windows)


def test_series_of_other_times_leave_no_split_empty_in_silence(tmp_path: Path) -> None:
    later = hours(100, "2024-03-01").assign(meter="later")
    rows = pd.concat([two((100, 100)), later])
    windows = read(tmp_path, rows, group="meter", short="leave_out")
    assert set(windows["group"]) == {"a", "b"}
    assert set(windows["split"]) == {"train", "validation", "test"}


def test_a_split_without_a_forecast_is_refused(tmp_path: Path) -> None:
    """Where one series ends before it, and the other was filled."""
    mostly_filled = hours(201).drop(index=range(30, 200)).assign(meter="c")
    rows = pd.concat([two((100, 100)), mostly_filled])
    with pytest.raises(UserError, match="no series has a whole forecast in validation and test"):
        read(tmp_path, rows, group="meter", gaps="fill", longest_gap=200)


def test_each_series_is_scaled_by_train_alone(tmp_path: Path) -> None:
    rows = two((100, 100))
    rows["load"] = rows["load"].where(rows["meter"] == "a", 1000 * rows["load"])
    _, spec = fitted(tmp_path, rows, group="meter")
    later = rows.assign(load=rows["load"].where(rows.index % 100 < 65, 7.0))
    _, changed = fitted(tmp_path, later, group="meter")
    assert spec == changed
    scales = {name: (mean, std) for name, _, mean, std in spec.facts["series"]["scales"]}
    assert scales["b"] == pytest.approx(tuple(1000 * part for part in scales["a"]))
    assert spec.facts["unit"] == "deviations of a series"


def test_a_constant_series_among_others_is_said_and_scaled_by_one(tmp_path: Path) -> None:
    rows = two((100, 100))
    rows["load"] = rows["load"].where(rows["meter"] == "a", 3.0)
    windows, spec = fitted(tmp_path, rows, group="meter")
    assert "'b' is the same at every step" in said(windows)
    assert spec.facts["series"]["scales"][1] == ["b", "load", 3.0, 1.0]


def test_the_season_is_found_on_train(tmp_path: Path) -> None:
    _, spec = fitted(tmp_path, hours(100))
    assert spec.facts["season"] == 4


@pytest.mark.parametrize(
    ("freq", "words", "period"),
    [
        ("30min", "30 min", 4),
        ("h", "1 h", 4),
        ("D", "1 day", 7),
        ("W", "1 week", 4),
        ("MS", "1 month", 12),
        ("ME", "1 month", 12),
        ("QS", "3 months", 4),
        ("YS", "1 year", 4),
    ],
)
def test_the_step_is_found_and_said(tmp_path: Path, freq: str, words: str, period: int) -> None:
    windows, spec = fitted(tmp_path, hours(120, "1980-01-01", freq))
    assert spec.facts["step"] == words
    assert f"a step is {words}" in said(windows)
    assert spec.facts["series"]["period"] == period
    expected = pd.date_range("1980-01-01", periods=120, freq=freq)[windows["tick"]]
    assert list(pd.to_datetime(windows["start"])) == list(expected)


def test_steps_behind_the_last_value_are_said_and_not_used(tmp_path: Path) -> None:
    rows = hours(100)
    windows = read(tmp_path, rows.assign(load=rows["load"].where(rows.index < 97)))
    assert "3 steps behind the last value of a series: not used" in said(windows)
    assert windows["tick"].max() == 93


def test_a_column_without_a_role_is_named(tmp_path: Path) -> None:
    _, spec = fitted(tmp_path, hours(100).assign(note="x"))
    assert [each.name for each in Series.columns_read(spec) if each.read_as is None] == ["note"]


def test_intervals_draw_weeks_of_all_series(tmp_path: Path) -> None:
    rows = two((800, 800))
    data = made(group="meter", context=24)
    windows = read(tmp_path, rows, data)
    test = windows[windows["split"] == "test"]
    assert pd.Series(data.clusters(test)).value_counts().to_dict() == {0: 80}
    spec = data.fit(windows[windows["split"] == "train"])
    assert Series.cluster_of(spec) == "week"


def test_a_column_has_one_role() -> None:
    with pytest.raises(UserError, match="column 'load' has two roles"):
        made(known=["load"])


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"meter": "category"}, "reads 'meter' as category, but it tells series apart"),
        ({"note": "number"}, "reads 'note' as number, but it is in none of data.target"),
        ({"load": "category"}, "reads 'load' as category, but a series is of numbers"),
        ({"load": "date"}, "reads 'load' as date, but a series is of numbers"),
    ],
)
def test_a_reading_that_a_column_of_series_cannot_have_is_refused(
    tmp_path: Path, columns: dict[str, str], why: str
) -> None:
    """It was ignored in silence."""
    rows = hours(100).assign(meter="a", note=1)
    with pytest.raises(UserError, match=f"^data.columns {why}.*; leave it out there$"):
        read(tmp_path, rows, group="meter", columns=columns)


def test_a_reading_of_a_series_that_can_be_had_is_taken(tmp_path: Path) -> None:
    rows = hours(100).assign(load=[f"1.00{row % 4}" for row in range(100)])
    windows = read(tmp_path, rows, columns={"load": "decimal_comma"})
    assert set(np.concatenate(list(windows["target"]))) == {1000.0, 1001.0, 1002.0, 1003.0}

"""Series in use: the last steps of each in long form, and the forecast of the next ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_series import fitted, hours

from goodfit.data.faults import CellsError
from goodfit.data.series import Series
from goodfit.errors import UserError

OPTIONS: dict[str, Any] = {"group": "meter", "known": ["holiday"], "observed": ["rain"]}


def rows_of(count: int) -> pd.DataFrame:
    """Two series of different scale, with covariates."""
    rng = np.random.default_rng(0)
    parts = []
    for name, scale in (("a", 1.0), ("b", 1000.0)):
        part = hours(count).assign(meter=name, holiday=rng.integers(0, 2, count))
        part["load"] = scale * (part["load"] + rng.normal(size=count))
        parts.append(part.assign(rain=rng.normal(size=count)))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def asked(tmp_path: Path) -> tuple[pd.DataFrame, Any]:
    """What a user sends, 12 steps of the past and 4 ahead of two series, and the spec."""
    _, spec = fitted(tmp_path, rows_of(100), **OPTIONS)
    rows = rows_of(116).groupby("meter").tail(16).reset_index(drop=True)
    ahead = rows.groupby("meter").cumcount() >= 12
    return rows.assign(load=rows["load"].mask(ahead), rain=rows["rain"].mask(ahead)), spec


def test_the_last_steps_of_each_series_are_a_window(asked: tuple[pd.DataFrame, Any]) -> None:
    rows, spec = asked
    windows = Series.received(rows, spec)
    assert list(windows["group"]) == ["a", "b"]
    assert list(windows["start"]) == ["2024-01-05 16:00:00"] * 2
    assert np.array_equal(windows["past"].iloc[1], rows["load"][16:28])


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.sample(frac=1, random_state=1),
        lambda rows: rows.astype(object).where(rows.notna(), None),
        lambda rows: rows.astype(str).replace("nan", ""),
        lambda rows: rows.assign(time=pd.to_datetime(rows["time"])),
        lambda rows: rows.assign(note="x")[["note", *reversed(rows.columns)]],
    ],
)
def test_however_rows_are_sent_they_are_the_same_window(
    asked: tuple[pd.DataFrame, Any], change: Any
) -> None:
    rows, spec = asked
    expected = Series.encode(Series.received(rows, spec), spec)
    windows = Series.received(change(rows), spec).sort_values("group")
    encoded = Series.encode(windows, spec)
    assert all(np.array_equal(encoded[name], expected[name]) for name in expected)


def test_more_of_the_past_than_needed_changes_nothing(tmp_path: Path) -> None:
    _, spec = fitted(tmp_path, hours(100))
    long, short = (Series.received(hours(100).tail(count), spec) for count in (40, 12))
    assert long["start"].tolist() == short["start"].tolist()
    assert np.array_equal(long["past"].iloc[0], short["past"].iloc[0])


def test_a_forecast_is_in_the_unit_of_its_series(asked: tuple[pd.DataFrame, Any]) -> None:
    rows, spec = asked
    windows = Series.received(rows, spec)
    answers = pd.DataFrame(np.zeros((2, 4)), columns=["t1", "t2", "t3", "t4"])
    given = Series.given(windows, answers, spec)
    assert list(given) == ["time", "meter", "forecast"]
    assert list(given["time"][:2]) == ["2024-01-05 16:00:00", "2024-01-05 17:00:00"]
    means = [mean for _, _, mean, _ in spec.facts["series"]["scales"]]
    assert given.groupby("meter")["forecast"].first().tolist() == pytest.approx(means)


def test_so_are_the_ends_of_its_interval(asked: tuple[pd.DataFrame, Any]) -> None:
    rows, spec = asked
    windows, facts = Series.received(rows, spec), spec.facts["series"]
    ends = {"": 0.0, "low_": -1.0, "high_": 2.0}
    answers = pd.DataFrame(
        {f"{end}t{step}": [value] * 2 for end, value in ends.items() for step in range(1, 5)}
    )
    given = Series.given(windows, answers, spec).groupby("meter").first()
    assert list(given) == ["time", "forecast", "low", "high"]
    for name, value in zip(("forecast", "low", "high"), ends.values(), strict=True):
        expected = [mean + value * std for _, _, mean, std in facts["scales"]]
        assert given[name].tolist() == pytest.approx(expected)

    # a column of the user's own that is called so is not lost
    own = replace(spec, facts={"series": facts | {"time": "low"}})
    named = Series.given(windows, answers, own)
    assert list(named) == ["low", "meter", "forecast_load", "low_load", "high_load"]
    assert named["low"].tolist() == Series.given(windows, answers, spec)["time"].tolist()


@pytest.mark.slow
@pytest.mark.fault(72)
@pytest.mark.parametrize(
    ("change", "row", "column", "problem"),
    [
        (lambda rows: rows.drop(index=14), 15, "time", "1 step is missing of 'a' between"),
        (lambda rows: rows.drop(index=15), 1, "time", "needs holiday of the 4 steps ahead"),
        (lambda rows: rows.drop(index=[12, 13, 14, 15]), 1, "time", "4 are missing, the first is"),
        (
            lambda rows: rows.assign(holiday=rows["holiday"].mask(rows.index == 13)),
            14,
            "holiday",
            "is missing",
        ),
        (lambda rows: rows.drop(index=[0]), 1, "time", "has 11 steps with values"),
        (lambda rows: rows.drop(index=[5]), 6, "time", "1 step is missing of 'a' between"),
        (lambda rows: pd.concat([rows, rows.iloc[[3]]]), 33, "time", "is there twice"),
        (
            lambda rows: rows.assign(meter=rows["meter"].replace("b", "c")),
            17,
            "meter",
            "series 'c' was not in training",
        ),
        (
            lambda rows: rows.assign(load=rows["load"].mask(rows.index == 5)),
            6,
            "load",
            "is missing",
        ),
        (
            lambda rows: rows.assign(load=rows["load"].mask(rows.index < 16)),
            1,
            "time",
            "has 0 steps with values",
        ),
        (
            lambda rows: rows.assign(time=rows["time"] + "Z"),
            1,
            "time",
            "'2024-01-05 04:00:00Z' has a zone, others none",
        ),
    ],
)
def test_what_cannot_be_forecast_is_refused_by_its_row(
    asked: tuple[pd.DataFrame, Any], change: Any, row: int, column: str, problem: str
) -> None:
    rows, spec = asked
    with pytest.raises(CellsError) as error:
        Series.received(change(rows), spec)
    fault = error.value.faults[0]
    assert (fault.row, fault.column) == (row, column)
    assert problem in fault.problem


def test_a_missing_column_is_named(asked: tuple[pd.DataFrame, Any]) -> None:
    with pytest.raises(UserError, match=r"columns \['holiday'\] are missing"):
        Series.received(asked[0].drop(columns="holiday"), asked[1])


def test_a_gap_is_filled_in_use_as_in_training(tmp_path: Path) -> None:
    rows = hours(100)
    rows["load"] += np.random.default_rng(0).normal(size=100)
    windows, spec = fitted(tmp_path, rows.drop(index=[50]), gaps="fill")
    window = windows[windows["tick"] == 55]
    sent = rows[43:55].drop(index=[50])
    got, expected = (Series.encode(each, spec) for each in (Series.received(sent, spec), window))
    assert all(np.array_equal(got[name], expected[name]) for name in expected)


def test_several_targets_have_a_column_each(tmp_path: Path) -> None:
    rows = hours(100)
    rows["heat"] = 2 * rows["load"] + np.arange(100) % 3
    _, spec = fitted(tmp_path, rows, target=["load", "heat"])
    windows = Series.received(rows.tail(12), spec)
    answers = pd.DataFrame(np.zeros((2, 4)), columns=["t1", "t2", "t3", "t4"])
    given = Series.given(windows, answers, spec)
    assert list(given) == ["time", "forecast_load", "forecast_heat"]
    assert len(given) == 4

"""A target that changes with a date is told where the split is random; times far off are, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_tables import read, table

from goodfit.data.in_time import order_matters, wrong_times
from goodfit.records import Finding
from goodfit.store.prepare import assign_splits

ROWS = 400
DAYS = pd.date_range("2024-01-01", periods=ROWS)
TRAIN = np.full(ROWS, "train")


def told(target: Any, *, days: Any = DAYS) -> list[Finding]:
    """What is found in rows of train, which stand in another order than their days."""
    rows = pd.DataFrame({"day": days, "y": target})
    rows = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    return order_matters(rows, TRAIN, [rows["y"]], ["day"])


def test_a_class_that_becomes_frequent_is_told_with_both_rates_and_the_option() -> None:
    # of the first hundred days 10 are yes, of the last 60
    yes = [row % 10 < (1 if row < 100 else 6) for row in range(ROWS)]
    (finding,) = told(np.where(yes, "yes", "no"))
    assert finding.what == (
        "the split is random, and 'no' is 90.0% of 'y' in the first quarter and 40.0% in the last "
        "one of train by 'day' (2024-01-01 to 2024-04-09, 2024-10-27 to 2025-02-03)"
    )
    assert finding.answer == "data.time=day"


def test_a_number_that_rises_is_told_with_both_medians() -> None:
    (finding,) = told(np.arange(ROWS, dtype=float))
    assert (
        "the median of 'y' is 49.5 in the first quarter and 349.5 in the last one" in finding.what
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "days", [DAYS, DAYS[:20].repeat(20), pd.DatetimeIndex(["2024-01-01"]).repeat(ROWS)]
)
def test_a_target_that_chance_decides_is_not_told(days: Any) -> None:
    """Of sixty targets of each kind, of which chance alone makes some differ."""
    drawn = np.random.default_rng(0)
    for _ in range(30):
        assert told(drawn.choice(["yes", "no"], ROWS), days=days) == []
        assert told(drawn.normal(size=ROWS), days=days) == []


def found(tmp_path: Path, **options: Any) -> list[str]:
    """What is told of a target that changes on one day, and of four days that are mistyped."""
    days = [str(day.date()) for day in DAYS]
    days[3], days[5], days[7], days[9] = "2205-01-01", "2204-12-31", "2202-02-02", "1900-01-01"
    labels = ["no" if row < ROWS // 2 else "yes" for row in range(ROWS)]
    numbers = np.random.default_rng(0).normal(size=ROWS).round(5)
    fold = ["train", "validation", "test", "train"] * (ROWS // 4)
    text = pd.DataFrame({"a": numbers, "day": days, "fold": fold, "y": labels}).to_csv(index=False)
    rows = read(tmp_path, text, **options)
    made = table(**options)
    names, _ = assign_splits(made, {"table": tmp_path / "t.csv"}, rows)
    items = [item for item in made.findings(rows, names) if "'day'" in item.what]
    return [f"{item.what}; rows {item.rows}" for item in items if "distrib" not in item.what]


WRONG = [
    "'day' has 1 time far before the others, such as 1900-01-01; nearly all are between "
    "2024-01-05 and 2025-02-02; rows (10,)",
    "'day' has 3 times far after the others, such as 2205-01-01; nearly all are between "
    "2024-01-05 and 2025-02-02; rows (4, 6, 8)",
]


def test_what_decides_the_split_decides_what_is_told(tmp_path: Path) -> None:
    *wrong, at_random = found(tmp_path, drop=["fold"])
    assert at_random.startswith("the split is random, and 'no' is ")
    assert wrong == WRONG
    assert found(tmp_path, assigned="fold") == WRONG
    assert found(tmp_path, time="day", drop=["fold"]) == WRONG


def test_a_wrong_time_costs_its_split_or_the_scale_and_what_is_missing_is_none() -> None:
    times = pd.Series(DAYS, name="day")
    times[7] = pd.NaT
    assert wrong_times(times, decides=False) == []
    times[9] = pd.Timestamp("2205-01-01")
    (of_input,) = wrong_times(times, decides=False)
    (of_split,) = wrong_times(times, decides=True)
    assert of_input.rows == of_split.rows == (10,)
    assert of_input.cost.startswith("the scale is theirs")
    assert of_split.cost == "by these times they are in test, wherever they belong"


def test_times_that_become_denser_are_none_far_off() -> None:
    """Half of the rows are of the last year of ten, as of a shop that grows."""
    days = (1 - np.random.default_rng(0).exponential(0.14, 2000).clip(max=1)) * 3650
    times = pd.Series(pd.Timestamp("2015-01-01") + pd.to_timedelta(days, "D"))
    assert wrong_times(times, decides=True) == []


def test_rows_of_one_day_have_no_order() -> None:
    """A file that is sorted by class says nothing of time."""
    days = pd.DatetimeIndex(["2024-01-01"] * 300 + ["2024-06-01"] * 100)
    rows = pd.DataFrame({"day": days, "y": ["no"] * 200 + ["yes"] * 100 + ["yes", "no"] * 50})
    assert order_matters(rows, TRAIN, [rows["y"]], ["day"]) == []

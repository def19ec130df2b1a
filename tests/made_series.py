"""Small files of series and data sets that read them, for tests of one thing each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tiny

from goodfit.contract import DataSpec
from goodfit.data.series import Series
from goodfit.schema import Source

SETTINGS = {
    "time": "time",
    "target": "load",
    "horizon": 4,
    "context": 12,
    "calendar": ["hour", "weekday", "month"],
}


def hours(count: int, start: str = "2024-01-01", freq: str = "h") -> pd.DataFrame:
    """One series with a period of four steps, and no noise."""
    times = pd.date_range(start, periods=count, freq=freq).astype(str)
    return pd.DataFrame({"time": times, "load": 10.0 + np.arange(count) % 4})


def made(**changes: Any) -> Series:
    """A data set with the values of the YAML, but for those that a test is about."""
    content = tiny.section("data", "series-shops")
    content = {name: value for name, value in content.items() if name != "_target_"}
    plain = {"group": None, "known": [], "observed": [], "train_stride": 1}
    options = content | plain | SETTINGS | changes
    source = Source(file="rows.csv", sha256=None)
    return Series(**options | {"sources": {"table": source}})


def read(folder: Path, rows: pd.DataFrame, data: Series | None = None, **changes: Any) -> Any:
    """The windows of rows that are written to a file."""
    path = folder / "rows.csv"
    rows.to_csv(path, index=False)
    return (data or made(**changes)).read({"table": path})


def fitted(folder: Path, rows: pd.DataFrame, **changes: Any) -> tuple[Any, DataSpec]:
    """The windows of rows, and the spec of train."""
    data = made(**changes)
    windows = read(folder, rows, data)
    return windows, data.fit(windows[windows["split"] == "train"])

"""Files of rows, made from nothing, and their data set; this file imports no torch.

Letters: N rows, F features.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from goodfit.data.table import Table
from goodfit.schema import Source
from goodfit.store.prepare import prepare


def table() -> Table:
    """The data set of the files that `write` and `write_numbers` write."""
    return Table(
        sources={"table": Source(file="rows.csv", sha256=None)},
        label="label",
        kind="class",
        order=[],
        separator=None,
        columns={},
        drop=[],
        missing="impute",
        missing_in={},
        na_values={},
        alike_labels="refuse",
        sheet=None,
        group=None,
        time=None,
        gap=None,
        assigned=None,
        weight=None,
        test=0.2,
        validation=0.15,
        split_seed=0,
    )


def write(path: Path, count: int) -> None:
    """Ten columns of numbers, two of texts, and a class that depends on some of them."""
    rng = np.random.default_rng(0)
    columns = {f"x{place}": rng.normal(size=count).round(4) for place in range(6)}
    counts = {f"k{place}": rng.integers(0, 1000, count) for place in range(4)}
    city = rng.choice([f"city {place}" for place in range(60)], count)
    made = pd.DataFrame(columns | counts | {"city": city, "grade": rng.choice([*"ABCDE"], count)})
    score = made["x0"] + made["k0"] / 500 + rng.normal(size=count)
    made.assign(label=np.where(score > 1, "yes", "no")).to_csv(path, index=False)


def write_numbers(path: Path, count: int, width: int) -> None:
    """Normal numbers (N, F) as Parquet, not compressed, of which the first tells the class."""
    rng = np.random.default_rng(0)
    names = [f"x{place}" for place in range(width)]
    schema = pa.schema([(name, pa.float64()) for name in names] + [("label", pa.string())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for first in range(0, count, 20_000):
            numbers = rng.normal(size=(min(20_000, count - first), width))
            label = np.where(numbers[:, 0] > 0, "yes", "no")
            file.write_table(pa.table([*numbers.T, label], schema=schema))


def prepared(raw: str, folder: str) -> None:
    """Prepares a file that `write` or `write_numbers` has written into a folder."""
    prepare(table(), {"table": Path(raw)}, Path(folder), made_with={})


def read(raw: str) -> None:
    """Reads a Parquet file as a whole."""
    assert len(pd.read_parquet(raw))

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

_LETTERS, _ROWS = 250, 2_000


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
        equal_rows="together",
        alike_labels="refuse",
        sheet=None,
        encoding=None,
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


def write_texts(path: Path, count: int, width: int) -> None:
    """Answers to `width` questions in 250 letters each, as Parquet, of which one tells the class.

    The same bytes as numbers take 32 times as many cells, and so as long to read.
    """
    rng = np.random.default_rng(0)
    answers = np.array([f"{letter}, ".ljust(_LETTERS, letter) for letter in "abcdefgh"])
    schema = pa.schema([(f"question {place}", pa.string()) for place in range(width)])
    schema = schema.append(pa.field("label", pa.string()))
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for first in range(0, count, _ROWS):
            codes = rng.integers(0, len(answers), (width, min(_ROWS, count - first)))
            label = np.where(codes[0] < len(answers) // 2, "yes", "no")
            file.write_table(pa.table([*answers[codes], label], schema=schema))


def prepared(raw: str, folder: str) -> None:
    """Prepares a file that `write` or `write_numbers` has written into a folder."""
    prepare(table(), {"table": Path(raw)}, Path(folder), made_with={})


def read(raw: str) -> None:
    """Reads a Parquet file as a whole."""
    assert len(pd.read_parquet(raw))

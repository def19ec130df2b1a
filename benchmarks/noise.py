"""A data set as large as is asked for: each sample is made from its number when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, Encoded, StratifiedDataSet
from goodfit.records import Exhibit
from goodfit.store.prepare import prepare

WIDTH = 20_000  # numbers of a sample: 80 kB


class Noise(StratifiedDataSet):
    """Two classes of random numbers, of which the first half tells the class.

    The raw file holds the number of samples.
    """

    sources = ("samples",)
    inputs = ("numbers",)
    kind = "class"
    modality = "table"
    chunk = 100

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Of each sample its number and its class."""
        numbers = np.arange(int(raw["samples"].read_text()))
        return pd.DataFrame({"number": numbers, "label": np.where(numbers % 2, "odd", "even")})

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with their numbers."""
        return rows.assign(numbers=[_numbers(number) for number in rows["number"]])  # type: ignore[misc]

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Nothing depends on the content."""
        return DataSpec(
            data="benchmarks.noise.Noise",
            kind=self.kind,
            outputs=2,
            inputs={"numbers": Field((WIDTH,), "float32")},
            targets={"target": Field((), "int64", labels=("even", "odd"))},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Encoded]:
        """`numbers` (B, F)."""
        return {"numbers": np.stack(list(rows["numbers"]))}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The first number."""
        return Exhibit(text=str(sample["numbers"][0]))


def prepared(folder: str, samples: int) -> None:
    """Prepares as many samples into a folder; this file imports no torch, as the stage does not."""
    raw = Path(f"{folder}.txt")
    raw.write_text(str(samples))
    data = Noise(sources={}, test=0.1, validation=0.1, split_seed=0)
    prepare(data, {"samples": raw}, Path(folder), made_with={})


def _numbers(number: int) -> Array:
    values = np.random.default_rng(number).random(WIDTH, dtype=np.float32)
    values[: WIDTH // 2] += number % 2
    return values

"""A data set of lines of different lengths, for what the four examples do not need."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, Encoded, StratifiedDataSet
from goodfit.records import Exhibit
from goodfit.schema import Source


class Lines(StratifiedDataSet):
    """Bytes of a line as input; its bytes with a point behind them as ragged target.

    A raw row has the column `number` alone: the line itself is loaded chunk by chunk.
    """

    sources = ("lines",)
    inputs = ("letters",)
    targets = ("text",)
    kind = "text"
    modality = "text"
    chunk = 7

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """The lines' numbers; the split is stratified by whether their length is odd."""
        lines = raw["lines"].read_text().splitlines()
        parity = [len(line) % 2 for line in lines]
        return pd.DataFrame({"number": range(len(lines)), "label": parity})

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with their lines."""
        lines = raw["lines"].read_text().splitlines()
        return rows.assign(line=[lines[number] for number in rows["number"]])

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Bytes are the vocabulary; an asset as a tokenizer would be."""
        letters = Field((None,), "int64", longest=1)
        return DataSpec(
            data="lines.Lines",
            kind=self.kind,
            outputs=256,
            inputs={"letters": letters},
            targets={"text": Field((None, 2), "float32", fill=-1.0)},
            assets={"alphabet.txt": bytes(range(256))},
        )

    def fit_content(self, spec: DataSpec, train: Iterator[pd.DataFrame]) -> DataSpec:
        """The length of the longest line."""
        longest = max(len(line) for part in train for line in part["line"])
        return replace(spec, inputs={"letters": replace(spec.inputs["letters"], longest=longest)})

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Encoded]:
        """Bytes, (L,) of each line."""
        return {"letters": [_bytes(line) for line in rows["line"]]}

    def encode_targets(self, rows: pd.DataFrame, spec: DataSpec) -> dict[str, Encoded]:
        """Of each letter its byte and its place, (L, 2)."""
        pairs = []
        for line in rows["line"]:
            letters = _bytes(line)
            pairs.append(np.stack([letters, np.arange(len(letters))], 1).astype(np.float32))
        return {"text": pairs}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The line."""
        return Exhibit(text=bytes(sample["letters"].tolist()).decode())


class Slow(Lines):
    """Takes a tenth of a second for each chunk, to load it and to encode it."""

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """As reading from a slow disk."""
        time.sleep(0.05)
        return super().load(raw, rows)

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Encoded]:
        """As decoding of large pictures."""
        time.sleep(0.05)
        return Lines.encode(rows, spec)


class Killed(Lines):
    """Kills each process but the first one that loads its rows."""

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """As a system does that runs out of memory."""
        if multiprocessing.parent_process():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load(raw, rows)


def _bytes(line: str) -> Array:
    return np.frombuffer(line.encode(), np.uint8).astype(np.int64)


def lines(chunk: int = Lines.chunk, cls: type[Lines] = Lines) -> Lines:
    """The data set; its rows are encoded `chunk` at a time."""
    source = Source(file="lines.txt", sha256=None)
    made = cls(sources={"lines": source}, test=0.2, validation=0.2, split_seed=0)
    made.chunk = chunk  # type: ignore[misc]
    return made


def raw(folder: Path, count: int = 60, longest: int = 30) -> dict[str, Path]:
    """A file of different lines of 1 to `longest` letters."""
    generator = np.random.default_rng(0)
    texts = []
    for number in range(count):
        length = int(generator.integers(1, longest + 1))
        texts.append(f"{number:03d}"[-length:] + "x" * (length - 3))
    path = folder / "lines.txt"
    path.write_text("\n".join(texts) + "\n")
    return {"lines": path}

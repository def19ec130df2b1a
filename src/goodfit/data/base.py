"""What a data set must say about itself; splitting, packing and checking are then the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import split
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Fraction, Source, Whole


class DataSet(ABC):
    """From one raw file to rows, from rows to arrays; rows are a table with one line for each
    sample.

    `inputs` are the names that `encode` gives, and so the arguments of the networks that fit.
    `kind` is the meaning of the target, as in `DataSpec`. Cells of the table may be arrays (a
    picture, a window).
    """

    inputs: ClassVar[tuple[str, ...]]
    kind: ClassVar[str]
    modality: ClassVar[str]  # of the inputs, for a reader: image, text, series, table
    label: ClassVar[str] = "label"  # the column of the target
    rule: ClassVar[str] = (
        "at random, each label in the same proportion on every side"  # of the split, in words
    )

    def __init__(
        self, *, source: Source, test: Fraction, validation: Fraction, split_seed: Whole
    ) -> None:
        self.source = source
        self.test, self.validation, self.split_seed = test, validation, split_seed

    @abstractmethod
    def read(self, raw: Path) -> pd.DataFrame:
        """The validated rows of the raw file; raises UserError that lists every fault found in it."""

    @abstractmethod
    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Labels, vocabulary, means: all that must be learned from the rows of the train split
        alone.
        """

    @staticmethod
    @abstractmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, np.ndarray[Any, Any]]:
        """Raw rows to a network's inputs, each of shape (B, *spec.inputs[name].shape); needs no
        target.
        """

    def split(self, rows: pd.DataFrame, alike: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The name of each row's split, "" for a row that belongs to none; stratified by the target
        here.

        Rows with the same number in `alike` (N,) hold the same inputs: one of them in train and
        another in test would be a leak, so they fall on one side.
        """
        # a number is stratified by its tenth of the range: each split then covers the range alike
        target = rows[self.label]
        ranks = (
            target.rank(pct=True).mul(10).astype(int).clip(upper=9)
            if self.kind == "number"
            else target
        )
        strata = ranks.astype(str).to_numpy()
        return split.stratified(strata, self.test, self.validation, self.split_seed, alike=alike)

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Three rows as a caller would send them, without the target: the example in the registry."""
        return lists(rows.drop(columns=self.label).head(3))

    @staticmethod
    @abstractmethod
    def show(
        sample: Mapping[str, np.ndarray[Any, Any]], row: pd.Series[Any], spec: DataSpec
    ) -> Exhibit:
        """One sample's inputs for a reader, from its arrays and from the cells that are no arrays."""

    def counts(self, rows: pd.DataFrame) -> dict[str, int]:
        """The number of rows of each class, or of all where there are no classes."""
        if self.kind != "class":
            return {"samples": len(rows)}
        return dict(sorted(Counter(rows[self.label].astype(str)).items()))

    def key(self, rows: pd.DataFrame) -> list[bytes] | None:
        """The inputs of each row as bytes; None where rows overlap by design (windows of a series)."""
        columns = [column for column in rows.columns if column != self.label]
        return [
            repr([_plain(value) for value in row]).encode()
            for row in rows[columns].itertuples(index=False)
        ]

    def target(self, rows: pd.DataFrame, spec: DataSpec) -> np.ndarray[Any, Any]:
        """Targets of shape (B, *spec.target.shape); raises UserError for labels that train does not
        have.
        """
        if self.kind != "class":
            return np.stack(list(rows[self.label])).astype(spec.target.dtype)
        codes = {label: code for code, label in enumerate(spec.labels)}
        found = rows[self.label].astype(str)
        unseen = found[~found.isin(list(codes))].value_counts()
        if len(unseen):
            listed = ", ".join(f"'{label}' ({count} rows)" for label, count in unseen.items())
            raise UserError(
                f"labels {listed} never occur in train; known: {', '.join(spec.labels)}"
            )
        return found.map(codes).to_numpy(np.int64)


def class_labels(train: pd.DataFrame, column: str = "label") -> tuple[str, ...]:
    """The sorted names of the classes in train; raises UserError where there is nothing to tell
    apart.
    """
    labels = tuple(sorted(train[column].astype(str).unique()))
    if len(labels) < 2:
        raise UserError(
            f"train has a single class {', '.join(labels) or '(no rows)'}: nothing to learn"
        )
    return labels


def lists(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with arrays in their cells as lists, which JSON and MLflow's signatures know."""
    return rows.map(lambda cell: cell.tolist() if isinstance(cell, np.ndarray) else cell)


def _plain(value: Any) -> Any:
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value

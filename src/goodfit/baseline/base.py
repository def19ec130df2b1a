"""What every baseline is: fitted on train, chosen on validation, asked about inputs alone.

Letters in this folder: N samples of a split, K classes, T steps of the horizon, P past periods of
S steps, F features, C channels, H height, W width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import SAMPLE_WEIGHT, DataSpec

Array = np.ndarray[Any, Any]
Weights = tuple[Array | None, Array | None]  # of the samples of train and of validation


@dataclass(frozen=True)
class Samples:
    """What a baseline may know of samples: inputs (N, ...) by name, and readable rows.

    A ragged input is a list of N arrays. There is no target here, so a baseline cannot look at one,
    by mistake or otherwise.
    """

    inputs: dict[str, Any]
    rows: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class LabelledSamples(Samples):
    """Samples with their targets (N, ...) by name: train and validation.

    Beside the targets stands `sample_weight` (N,), where samples do not count alike.
    """

    targets: dict[str, Any]

    @property
    def sample_weight(self) -> Array | None:
        """How much each sample counts, (N,); None where all count alike."""
        return self.targets.get(SAMPLE_WEIGHT)

    def that_count(self) -> LabelledSamples:
        """The samples whose weight is not 0: trees would find their bins with the others, too."""
        weight = self.sample_weight
        if weight is None or (weight > 0).all():
            return self
        return self.part(np.flatnonzero(weight))

    def part(self, rows: Any) -> LabelledSamples:
        """The samples at `rows` (M,), all where it is None."""
        if rows is None:
            return self
        rows = np.asarray(rows)
        return LabelledSamples(
            at(self.inputs, rows),
            self.rows.iloc[rows].reset_index(drop=True),
            at(self.targets, rows),
        )


class Baseline(ABC):
    """A method with a choice or two, made on validation, and fitted on train alone.

    Baselines are compared on validation: one that has learned it would always be the strongest.

    `inputs` are the arrays that it can use: a data set must give one of them. `kinds` are the kinds
    of target, as in `DataSpec`, `title` is its name in the report. One that takes the weights of
    samples into account, in fitting and choosing, says that it `weighs` them; another one is
    refused where the data have weights.
    """

    kinds: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]]
    title: ClassVar[str]
    weighs: ClassVar[bool] = False

    @abstractmethod
    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Learns from train (N, ...); what there is to choose is chosen on validation (N, ...)."""

    @abstractmethod
    def predict(self, samples: Samples) -> Array:
        """In the form of a network's: probabilities (N, K), numbers (N,) or series (N, T)."""


def at(arrays: Mapping[str, Any], rows: Array) -> dict[str, Any]:
    """Some rows (M,) of arrays (N, ...), or of lists of N arrays, by name."""
    some: dict[str, Any] = {}
    for name, values in arrays.items():
        some[name] = [values[row] for row in rows] if isinstance(values, list) else values[rows]
    return some


def texts(samples: Samples, spec: DataSpec) -> list[str]:
    """The text of each sample (N,), of several columns one after the other.

    Tables of anybody's name their columns.
    """
    named = spec.facts.get("texts") or [spec.facts.get("text", "text")]
    columns = [list(samples.rows[name].astype(str)) for name in named]
    return ["\n".join(parts) for parts in zip(*columns, strict=True)]

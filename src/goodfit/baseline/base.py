"""What every baseline is: fitted on train, chosen on validation, asked about inputs alone.

Letters: N samples of a split, K classes, T steps of the horizon, F features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Samples:
    """What a method may know of samples that it is to answer: arrays (N, ...) by name, and readable
    rows.

    There is no target here, so a baseline cannot look at one, by mistake or otherwise.
    """

    inputs: dict[str, Array]
    rows: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class LabelledSamples(Samples):
    """Samples with their targets (N, ...): train and validation."""

    target: Array


class Baseline(ABC):
    """`inputs` are the arrays it can use, `kinds` the targets, `title` its name in the report."""

    kinds: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]]
    title: ClassVar[str]

    @abstractmethod
    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Learns from train; what there is to choose is chosen on validation."""

    @abstractmethod
    def predict(self, samples: Samples) -> Array:
        """Answers as a network's would be: probabilities (N, K), numbers (N,) or series (N, T)."""

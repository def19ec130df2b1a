"""What every baseline is: fitted on the train split, chosen on validation, asked once about test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec

Array = np.ndarray[Any, Any]


class Split:
    """One split as baselines see it: the arrays, the readable rows, the targets."""

    def __init__(self, inputs: dict[str, Array], rows: pd.DataFrame, target: Array) -> None:
        self.inputs, self.rows, self.target = inputs, rows, target


class Baseline(ABC):
    """`inputs` are the arrays it can use, `kinds` the targets, `title` its name in the report."""

    kinds: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]]
    title: ClassVar[str]

    @abstractmethod
    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Predictions for test as a network's would be: probabilities (B, K), numbers (B,) or series (B, T).

        `test.target` must not be looked at.
        """

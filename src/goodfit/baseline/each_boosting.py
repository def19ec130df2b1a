"""Gradient boosting for each label or number of several.

Letters: `base.py`.
"""

from __future__ import annotations

from functools import partial

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.boosting import Boosting
from goodfit.baseline.each import fit_each, predict_each
from goodfit.contract import DataSpec
from goodfit.schema import Count, Rate


class EachBoosting(Baseline):
    """Each target has a method of its own, with settings of its own."""

    kinds = ("labels", "numbers")
    inputs = ("numbers",)
    title = "gradient boosting for each"
    weighs = True

    def __init__(self, *, lr: Rate, trees: Count, leaves: Count) -> None:
        self._make = partial(Boosting, lr=lr, trees=trees, leaves=leaves, quantiles=None)

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A method for each column of the targets (N, K)."""
        self._fitted = fit_each(self._make, train, validation, spec)

    def predict(self, samples: Samples) -> Array:
        """The probability that each label holds, or each number: (N, K)."""
        return predict_each(self._fitted, samples)

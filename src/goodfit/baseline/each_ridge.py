"""Ridge regression for each number of several.

Letters: `base.py`.
"""

from __future__ import annotations

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.each import fit_each, predict_each
from goodfit.baseline.ridge import RidgeRegression
from goodfit.contract import DataSpec


class EachRidgeRegression(Baseline):
    """Each target has a method of its own, with settings of its own."""

    kinds = ("numbers",)
    inputs = ("numbers",)
    title = "ridge regression for each"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A method for each column of the targets (N, K)."""
        self._fitted = fit_each(RidgeRegression, train, validation, spec)

    def predict(self, samples: Samples) -> Array:
        """The probability that each label holds, or each number: (N, K)."""
        return predict_each(self._fitted, samples)

"""Logistic regression for each label of several.

Letters: `base.py`.
"""

from __future__ import annotations

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.each import fit_each, predict_each
from goodfit.baseline.logistic import Logistic
from goodfit.contract import DataSpec


class EachLogistic(Baseline):
    """Each target has a method of its own, with settings of its own."""

    kinds = ("labels",)
    inputs = ("numbers",)
    title = "logistic regression for each"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A method for each column of the targets (N, K)."""
        self._fitted = fit_each(Logistic, train, validation, spec)

    def predict(self, samples: Samples) -> Array:
        """The probability that each label holds, or each number: (N, K)."""
        return predict_each(self._fitted, samples)

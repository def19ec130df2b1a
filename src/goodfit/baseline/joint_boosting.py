"""Gradient boosting on all inputs: columns as they are, topics of texts, gradients of images.

Letters: `base.py`.
"""

from __future__ import annotations

from functools import partial

from goodfit.baseline.base import Array, LabelledSamples, Samples
from goodfit.baseline.boosting import Boosting
from goodfit.baseline.each import SEVERAL, Fitted, fit_each, predict_each
from goodfit.baseline.side_by_side import SideBySide, joined
from goodfit.contract import DataSpec


class JointBoosting(Boosting):
    """As `Boosting`, with numbers beside the columns that stand for texts and images.

    Of several targets each has an ensemble of its own.
    """

    kinds = ("class", "ordered", "number", "count", "labels", "numbers")
    inputs = ("numbers", "tokens", "image")
    title = "gradient boosting on all inputs"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Topics, components and ensembles are those of train."""
        self._each: list[Fitted] = []
        if spec.kind in SEVERAL:
            make = partial(
                JointBoosting, lr=self.lr, trees=self.trees, leaves=self.leaves, quantiles=None
            )
            self._each = fit_each(make, train, validation, spec)
            return
        self._has_numbers = "numbers" in spec.inputs
        self._others = SideBySide(train, spec, dense=True)
        super().fit(train, validation, spec)

    def predict(self, samples: Samples) -> Array:
        """Probabilities (N, K), or numbers in the unit of the target, (N,) or (N, K).

        Of quantiles as `Boosting`.
        """
        return predict_each(self._each, samples) if self._each else super().predict(samples)

    def _table(self, samples: Samples) -> Array:
        numbers = [super()._table(samples)] if self._has_numbers else []
        table: Array = joined([*numbers, *self._others.parts(samples)])
        return table

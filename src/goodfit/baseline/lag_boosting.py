"""Gradient boosting on lags and the calendar: what wins most forecasting competitions on tables.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingRegressor

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.lags import features
from goodfit.baseline.trees import grow
from goodfit.contract import DataSpec
from goodfit.schema import Count, Rate


class LagBoosting(Baseline):
    """One model for all steps ahead; validation decides when to stop adding trees."""

    kinds = ("series",)
    inputs = ("past",)
    title = "gradient boosting on lags"

    def __init__(self, *, lr: Rate, trees: Count, leaves: Count) -> None:
        self.lr, self.trees, self.leaves = lr, trees, leaves

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """One ensemble over all samples and steps (N, T), with its seed fixed at 0."""
        self._model = HistGradientBoostingRegressor(
            loss="absolute_error",
            learning_rate=self.lr,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            max_features=0.5,
            early_stopping=True,
            n_iter_no_change=30,
            random_state=0,
        )
        grow(
            self._model,
            features(train),
            train.targets["target"].ravel(),
            features(validation),
            validation.targets["target"].ravel(),
        )

    def predict(self, samples: Samples) -> Array:
        """Values in the unit of the series, (N, T)."""
        values: Array = self._model.predict(features(samples))
        return values.reshape(len(samples), -1)

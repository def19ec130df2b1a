"""Gradient boosting on lags and the calendar: what wins most forecasting competitions on tables.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingRegressor

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.lags import features, relative
from goodfit.baseline.trees import grow
from goodfit.contract import DataSpec
from goodfit.schema import Count, Flag, Rate


class LagBoosting(Baseline):
    """One model for all steps ahead; validation decides when to stop adding trees.

    With `relative`, it learns how far values are from the mean of the last seven periods.
    """

    kinds = ("series",)
    inputs = ("past",)
    title = "gradient boosting on lags"

    def __init__(self, *, lr: Rate, trees: Count, leaves: Count, relative: Flag) -> None:
        self.lr, self.trees, self.leaves, self.relative = lr, trees, leaves, relative

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
        (known, level), (held_out, its_level) = self._known(train), self._known(validation)
        target, truth = train.targets["target"] - level, validation.targets["target"] - its_level
        grow(self._model, known, target.ravel(), held_out, truth.ravel())

    def predict(self, samples: Samples) -> Array:
        """Values in the unit of the series, (N, T)."""
        known, level = self._known(samples)
        values: Array = self._model.predict(known).reshape(len(samples), -1)
        return values + level

    def _known(self, samples: Samples) -> tuple[Array, Array | float]:
        """What is known of each step (NT, F), and what the target (N, T) is relative to, (N, 1)."""
        if not self.relative:
            return features(samples), 0.0
        shifted, level = relative(samples)
        return features(shifted), level

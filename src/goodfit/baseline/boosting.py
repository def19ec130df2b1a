"""Gradient boosting on lags and the calendar: what wins most forecasting competitions on tables."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec
from goodfit.schema import Count, Rate


class Boosting(Baseline):
    """One model for all steps ahead; the number of trees is the one with the least error on
    validation.
    """

    kinds = ("series",)
    inputs = ("past",)
    title = "gradient boosting on lags"

    def __init__(self, *, lr: Rate, trees: Count, leaves: Count) -> None:
        self.lr, self.trees, self.leaves = lr, trees, leaves

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """One tree ensemble over all samples and steps, with its seed fixed at 0."""
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
        self._model.fit(
            features(train),
            train.target.ravel(),
            X_val=features(validation),
            y_val=validation.target.ravel(),
        )

    def predict(self, samples: Samples) -> Array:
        """Values in the unit of the series, (N, T)."""
        values: Array = self._model.predict(features(samples)).reshape(len(samples), -1)
        return values


def features(samples: Samples) -> Array:
    """One row for each sample and step ahead, (N T, F).

    The same step of each past day, lags, means, and what is known of the step.
    """
    past, lags, known = (samples.inputs[name] for name in ("past", "lags", "known"))
    count, steps = lags.shape[:2]
    same_step = past.transpose(0, 2, 1)  # (B, S, P): the demand at this step on each past day
    each = [
        past[:, -1, -4:],
        past[:, -1:].mean(2),
        past[:, -1:].max(2),
        past[:, -7:].mean((1, 2))[:, None],
    ]
    shared = np.repeat(np.concatenate(each, 1)[:, None], steps, 1)
    place = np.tile(np.arange(steps)[None, :, None], (count, 1, 1))
    return np.concatenate([same_step, lags, known, shared, place], 2).reshape(count * steps, -1)

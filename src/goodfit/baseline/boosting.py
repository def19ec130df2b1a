"""Gradient boosting on lags and the calendar: what wins most forecasting competitions on tables."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.contract import DataSpec
from goodfit.kinds import Count, Rate


class Boosting(Baseline):
    """One model for all steps ahead; the number of trees is the one with the least error on validation."""

    kinds = ("series",)
    inputs = ("past",)
    title = "gradient boosting on lags"

    def __init__(self, *, lr: Rate, trees: Count, leaves: Count) -> None:
        self.lr, self.trees, self.leaves = lr, trees, leaves

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Values in the unit of the series, (B, T)."""
        model = HistGradientBoostingRegressor(
            loss="absolute_error",
            learning_rate=self.lr,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            max_features=0.5,
            early_stopping=True,
            n_iter_no_change=30,
            random_state=0,
        )
        model.fit(features(train), train.target.ravel(), X_val=features(validation), y_val=validation.target.ravel())
        values: Array = model.predict(features(test)).reshape(test.target.shape)
        return values


def features(split: Split) -> Array:
    """One row for each sample and step ahead, (B T, F): the same step of each past day, lags, means, what is known."""
    past, lags, known = split.inputs["past"], split.inputs["lags"], split.inputs["known"]
    samples, steps = lags.shape[:2]
    same_step = past.transpose(0, 2, 1)  # (B, S, P): the demand at this step on each past day
    each = [
        past[:, -1, -4:],
        past[:, -1:].mean(2),
        past[:, -1:].max(2),
        past[:, -7:].mean((1, 2))[:, None],
    ]
    shared = np.repeat(np.concatenate(each, 1)[:, None], steps, 1)
    place = np.tile(np.arange(steps)[None, :, None], (samples, 1, 1))
    return np.concatenate([same_step, lags, known, shared, place], 2).reshape(samples * steps, -1)

"""Gradient boosting on lags and the calendar: what wins most forecasting competitions on tables.

Letters: `base.py`.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec
from goodfit.schema import Count, Rate


class Boosting(Baseline):
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
        # without X_val, scikit-learn would hold out a tenth of train at random: windows that
        # overlap those that stay
        self._model.fit(
            features(train),
            train.targets["target"].ravel(),
            X_val=features(validation),
            y_val=validation.targets["target"].ravel(),
        )

    def predict(self, samples: Samples) -> Array:
        """Values in the unit of the series, (N, T)."""
        values: Array = self._model.predict(features(samples))
        return values.reshape(len(samples), -1)


def features(samples: Samples) -> Array:
    """One row for each sample and step ahead, (NT, F).

    It holds the demand at the same step of each past day, the lags, what is known of the step,
    values of the last day and week, and the number of the step.
    """
    past = samples.inputs["past"]  # (N, P, T)
    lags, known = samples.inputs["lags"], samples.inputs["known"]  # (N, T, F) each
    count, steps = lags.shape[:2]

    same_step = past.transpose(0, 2, 1)  # (N, T, P)
    summary = [
        past[:, -1, -4:],  # the last four steps
        past[:, -1:].mean(2),
        past[:, -1:].max(2),
        past[:, -7:].mean((1, 2))[:, None],
    ]
    shared = np.repeat(np.concatenate(summary, 1)[:, None], steps, 1)
    step = np.tile(np.arange(steps)[None, :, None], (count, 1, 1))
    columns = np.concatenate([same_step, lags, known, shared, step], 2)
    return columns.reshape(count * steps, -1)

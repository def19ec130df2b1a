"""Ridge regression on standardised numbers (Hoerl and Kennard 1970).

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, Weights
from goodfit.contract import DataSpec
from goodfit.metrics.weighted_arrays import average

PENALTIES = (0.1, 1.0, 10.0, 100.0)


class RidgeRegression(Baseline):
    """The penalty is the one with the least squared error on validation."""

    kinds = ("number",)
    inputs = ("numbers",)
    title = "ridge regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on numbers (N, F); the best one is kept."""
        self._model = best_ridge(
            train.inputs["numbers"],
            train.targets["target"],
            validation.inputs["numbers"],
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Numbers in the unit of the target, (N,)."""
        values: Array = self._model.predict(samples.inputs["numbers"])
        return values


def best_ridge(
    train: Any,
    train_target: Array,
    validation: Any,
    target: Array,
    *,
    weights: Weights = (None, None),
) -> Ridge:
    """The regression of `PENALTIES` with the least squared error on validation.

    Features are (N, F), dense or sparse, targets (N,), those of validation (M, F) and (M,);
    `weights` those of samples of train (N,) and of validation (M,), if there are any.
    """
    of_train, of_validation = weights
    models = [Ridge(alpha=penalty).fit(train, train_target, of_train) for penalty in PENALTIES]
    losses = [
        average(np.square(model.predict(validation) - target), of_validation) for model in models
    ]
    return models[int(np.argmin(losses))]

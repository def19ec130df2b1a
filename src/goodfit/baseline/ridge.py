"""Ridge regression on standardised numbers (Hoerl and Kennard 1970).

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec

PENALTIES = (0.1, 1.0, 10.0, 100.0)


class RidgeRegression(Baseline):
    """The penalty is the one with the least squared error on validation."""

    kinds = ("number",)
    inputs = ("numbers",)
    title = "ridge regression"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on numbers (N, F); the best one is kept."""
        self._model = best_ridge(
            train.inputs["numbers"],
            train.targets["target"],
            validation.inputs["numbers"],
            validation.targets["target"],
        )

    def predict(self, samples: Samples) -> Array:
        """Numbers in the unit of the target, (N,)."""
        values: Array = self._model.predict(samples.inputs["numbers"])
        return values


def best_ridge(train: Any, train_target: Array, validation: Any, target: Array) -> Ridge:
    """The regression of `PENALTIES` with the least squared error on validation.

    Features are (N, F), dense or sparse, targets (N,), those of validation (M, F) and (M,).
    """
    models = [Ridge(alpha=penalty).fit(train, train_target) for penalty in PENALTIES]
    losses = [np.square(model.predict(validation) - target).mean() for model in models]
    return models[int(np.argmin(losses))]

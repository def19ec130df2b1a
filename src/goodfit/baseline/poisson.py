"""Poisson regression on standardised numbers: the logarithm of the expected count is linear.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, Weights
from goodfit.contract import DataSpec

PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0)


class PoissonRegression(Baseline):
    """The penalty is the one with the least deviance on validation."""

    kinds = ("count",)
    inputs = ("numbers",)
    title = "Poisson regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on numbers (N, F); the best one is kept."""
        self._model = best_poisson(
            train.inputs["numbers"],
            train.targets["target"],
            validation.inputs["numbers"],
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Expected counts, (N,)."""
        values: Array = self._model.predict(samples.inputs["numbers"])
        return values


class Bounded(PoissonRegressor):
    """Answers at most a thousand times the largest count of train."""

    def fit(self, x: Any, y: Array, sample_weight: Array | None = None) -> Bounded:
        """Learns from features (N, F) and counts (N,), which may be weighed (N,)."""
        self.most_ = 1000 * float(y.max())
        super().fit(x, y, sample_weight)
        return self

    def predict(self, x: Any) -> Array:
        """Expected counts (N,) of features (N, F)."""
        # an exponential of a row unlike all of train
        values: Array = super().predict(x)
        return values.clip(1e-9, self.most_)


def best_poisson(
    train: Any,
    train_target: Array,
    validation: Any,
    target: Array,
    *,
    weights: Weights = (None, None),
) -> Bounded:
    """The regression of `PENALTIES` with the least deviance on validation.

    Features are (N, F), dense or sparse, targets (N,), those of validation (M, F) and (M,);
    `weights` those of samples of train (N,) and of validation (M,), if there are any.
    """
    of_train, of_validation = weights
    models, losses = [], []
    for penalty in PENALTIES:
        model = Bounded(alpha=penalty, max_iter=5000).fit(train, train_target, of_train)
        expected = model.predict(validation)
        models.append(model)
        losses.append(mean_poisson_deviance(target, expected, sample_weight=of_validation))
    return models[int(np.argmin(losses))]

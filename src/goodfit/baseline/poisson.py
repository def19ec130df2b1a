"""Poisson regression on standardised numbers: the logarithm of the expected count is linear.

Letters: `base.py`.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
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
        self._most = 1000 * float(train.targets["target"].max())
        models, losses = [], []
        for penalty in PENALTIES:
            self._model = PoissonRegressor(alpha=penalty, max_iter=5000)
            self._model.fit(train.inputs["numbers"], train.targets["target"], train.sample_weight)
            models.append(self._model)
            expected, weight = self.predict(validation), validation.sample_weight
            losses.append(
                mean_poisson_deviance(validation.targets["target"], expected, sample_weight=weight)
            )
        self._model = models[int(np.argmin(losses))]

    def predict(self, samples: Samples) -> Array:
        """Expected counts, (N,)."""
        values: Array = self._model.predict(samples.inputs["numbers"])
        # an exponential of a row unlike all of train
        return values.clip(1e-9, self._most)

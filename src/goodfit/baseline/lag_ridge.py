"""Ridge regression on lags and the calendar: the linear method beside boosting.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.lags import features
from goodfit.contract import DataSpec

PENALTIES = (1.0, 10.0, 100.0, 1000.0)


class LagRidge(Baseline):
    """A model for each step ahead; the penalty is the one with the least error on validation."""

    kinds = ("series",)
    inputs = ("past",)
    title = "ridge regression on lags"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model of each step (N, F) for each penalty; those of the best penalty are kept."""
        targets = train.targets["target"]  # (N, T)
        columns, held_out = _by_step(train), _by_step(validation)
        models, errors = [], []
        # hundreds of small systems of equations: threads would wait for each other at each
        with threadpool_limits(1):
            for penalty in PENALTIES:
                # a lag and a flag of the calendar differ in scale
                steps = [
                    make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(x, targets[:, step])
                    for step, x in enumerate(columns)
                ]
                models.append(steps)
                errors.append(
                    np.abs(_forecast(steps, held_out) - validation.targets["target"]).mean()
                )
        self._steps = models[int(np.argmin(errors))]

    def predict(self, samples: Samples) -> Array:
        """Values in the unit of the series, (N, T)."""
        return _forecast(self._steps, _by_step(samples))


def _by_step(samples: Samples) -> Array:
    """What is known of each step, (T, N, F)."""
    columns = features(samples)
    return columns.reshape(len(samples), -1, columns.shape[1]).transpose(1, 0, 2)


def _forecast(steps: list[Any], columns: Array) -> Array:
    """The values (N, T) of a model for each step, of columns (T, N, F)."""
    return np.stack([model.predict(x) for model, x in zip(steps, columns, strict=True)], 1)

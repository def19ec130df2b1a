"""Logistic regression on standardised numbers: what small medical tables are judged by.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec

INVERSE_PENALTIES = (0.01, 0.1, 1.0, 3.0, 10.0)  # C of scikit-learn


class Logistic(Baseline):
    """The penalty is the one with the least log loss on validation."""

    kinds = ("class", "ordered")
    inputs = ("numbers",)
    title = "logistic regression"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on numbers (N, F); the best one is kept."""
        x, held_out = train.inputs["numbers"], validation.inputs["numbers"]
        self._model = best_logistic(
            x, train.targets["target"], held_out, validation.targets["target"]
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        probabilities: Array = self._model.predict_proba(samples.inputs["numbers"])
        return probabilities


def best_logistic(
    train: Any, train_target: Array, validation: Any, validation_target: Array
) -> LogisticRegression:
    """The model of `INVERSE_PENALTIES` with the least log loss on validation.

    Features are (N, F), dense or sparse; targets (N,), the class of each.
    """
    models, losses = [], []
    for inverse in INVERSE_PENALTIES:
        model = LogisticRegression(C=inverse, max_iter=5000).fit(train, train_target)
        probabilities = model.predict_proba(validation)
        models.append(model)
        # validation may lack a class: the labels are those of train
        losses.append(log_loss(validation_target, probabilities, labels=model.classes_))
    return models[int(np.argmin(losses))]

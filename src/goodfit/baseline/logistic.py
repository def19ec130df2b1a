"""Logistic regression on standardised numbers: the method that small medical tables are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec

STRENGTHS = (0.01, 0.1, 1.0, 3.0, 10.0)  # inverse of the penalty's weight


class Logistic(Baseline):
    """The penalty is the one with the least log loss on validation."""

    kinds = ("class",)
    inputs = ("numbers",)
    title = "logistic regression"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each strength; the best one is kept."""
        x, held_out = train.inputs["numbers"], validation.inputs["numbers"]
        self._model = best_logistic(x, train.target, held_out, validation.target)

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        probabilities: Array = self._model.predict_proba(samples.inputs["numbers"])
        return probabilities


def best_logistic(x: Any, y: Array, held: Any, truth: Array) -> LogisticRegression:
    """The model of `STRENGTHS` whose probabilities for the held-out rows, dense or sparse, are
    best.
    """
    models = [LogisticRegression(C=strength, max_iter=5000).fit(x, y) for strength in STRENGTHS]
    losses = [log_loss(truth, model.predict_proba(held), labels=model.classes_) for model in models]
    return models[int(np.argmin(losses))]

"""Logistic regression on standardised numbers: the method that small medical tables are judged by."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.contract import DataSpec

STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # inverse of the penalty's weight


class Logistic(Baseline):
    """The penalty is the one with the least log loss on validation."""

    kinds = ("class",)
    inputs = ("numbers",)
    title = "logistic regression"

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Probabilities, (B, K)."""
        return best_logistic(train.inputs["numbers"], train.target, validation, test, "numbers")


def best_logistic(x: Array, y: Array, validation: Split, test: Split, name: str) -> Array:
    """Fits one model for each strength and gives the probabilities of the best one on validation."""
    models = [LogisticRegression(C=strength, max_iter=5000).fit(x, y) for strength in STRENGTHS]
    losses = [log_loss(validation.target, m.predict_proba(validation.inputs[name]), labels=m.classes_) for m in models]
    probabilities: Array = models[int(np.argmin(losses))].predict_proba(test.inputs[name])
    return probabilities

"""Logistic regression on standardised numbers: the method that small medical tables are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.contract import DataSpec

STRENGTHS = (0.01, 0.1, 1.0, 3.0, 10.0)  # inverse of the penalty's weight


class Logistic(Baseline):
    """The penalty is the one with the least log loss on validation."""

    kinds = ("class",)
    inputs = ("numbers",)
    title = "logistic regression"

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Probabilities, (B, K)."""
        model = best_logistic(train.inputs["numbers"], train.target, validation.inputs["numbers"], validation.target)
        probabilities: Array = model.predict_proba(test.inputs["numbers"])
        return probabilities


def best_logistic(x: Any, y: Array, held: Any, truth: Array) -> LogisticRegression:
    """The model of `STRENGTHS` whose probabilities for the held-out rows, dense or sparse, are best."""
    models = [LogisticRegression(C=strength, max_iter=5000).fit(x, y) for strength in STRENGTHS]
    losses = [log_loss(truth, model.predict_proba(held), labels=model.classes_) for model in models]
    return models[int(np.argmin(losses))]

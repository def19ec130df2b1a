"""Logistic regression on standardised numbers: what small medical tables are judged by.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, Weights
from goodfit.contract import DataSpec

INVERSE_PENALTIES = (0.01, 0.1, 1.0, 3.0, 10.0)  # C of scikit-learn


class Logistic(Baseline):
    """The penalty is the one with the least log loss on validation."""

    kinds = ("class", "ordered")
    inputs = ("numbers",)
    title = "logistic regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on numbers (N, F); the best one is kept."""
        x, held_out = train.inputs["numbers"], validation.inputs["numbers"]
        self._model = best_logistic(
            x,
            train.targets["target"],
            held_out,
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        probabilities: Array = self._model.predict_proba(samples.inputs["numbers"])
        return probabilities


def best_logistic(
    train: Any,
    train_target: Array,
    validation: Any,
    validation_target: Array,
    *,
    weights: Weights = (None, None),
) -> LogisticRegression:
    """The model of `INVERSE_PENALTIES` with the least log loss on validation.

    Features are (N, F), dense or sparse; targets (N,), the class of each; `weights` those of
    samples of train (N,) and of validation (M,), if there are any.
    """
    of_train, of_validation = weights
    models, losses = [], []
    for inverse in INVERSE_PENALTIES:
        model = LogisticRegression(C=inverse, max_iter=5000)
        model.fit(train, train_target, of_train)
        probabilities = model.predict_proba(validation)
        models.append(model)
        # validation may lack a class: the labels are those of train
        loss = log_loss(
            validation_target, probabilities, labels=model.classes_, sample_weight=of_validation
        )
        losses.append(loss)
    return models[int(np.argmin(losses))]

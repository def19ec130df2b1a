"""Counts of words and pairs of words, weighted by rarity, and logistic regression: hard to beat on short texts."""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.contract import DataSpec

STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # inverse of the penalty's weight


class TfIdf(Baseline):
    """Reads the raw text, not the network's tokens; the penalty with the least log loss on validation."""

    kinds = ("class",)
    inputs = ("tokens",)
    title = "TF-IDF + logistic regression"

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Probabilities, (B, K)."""
        counts = TfidfVectorizer(ngram_range=(1, 2))
        x = counts.fit_transform(train.rows["text"])
        held, asked = counts.transform(validation.rows["text"]), counts.transform(test.rows["text"])
        models = [LogisticRegression(C=strength, max_iter=2000).fit(x, train.target) for strength in STRENGTHS]
        losses = [log_loss(validation.target, model.predict_proba(held), labels=model.classes_) for model in models]
        probabilities: Array = models[int(np.argmin(losses))].predict_proba(asked)
        return probabilities

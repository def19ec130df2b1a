"""Counts of words and pairs of words, weighted by rarity, and logistic regression: hard to beat on short texts."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.baseline.logistic import best_logistic
from goodfit.contract import DataSpec


class TfIdf(Baseline):
    """Reads the raw text, not the network's tokens; the penalty is the one with the least log loss on validation."""

    kinds = ("class",)
    inputs = ("tokens",)
    title = "TF-IDF + logistic regression"

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Probabilities, (B, K)."""
        counts = TfidfVectorizer(ngram_range=(1, 2))
        x, held = counts.fit_transform(train.rows["text"]), counts.transform(validation.rows["text"])
        model = best_logistic(x, train.target, held, validation.target)
        probabilities: Array = model.predict_proba(counts.transform(test.rows["text"]))
        return probabilities

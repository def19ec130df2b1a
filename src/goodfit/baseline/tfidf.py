"""Counts of words and pairs of words, weighted by rarity, and logistic regression: hard to beat on
short texts.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.logistic import best_logistic
from goodfit.contract import DataSpec


class TfIdf(Baseline):
    """Reads the raw text, not the network's tokens; the penalty is the one with the least log loss
    on validation.
    """

    kinds = ("class",)
    inputs = ("tokens",)
    title = "TF-IDF + logistic regression"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The vocabulary and its weights are those of train."""
        self._counts = TfidfVectorizer(ngram_range=(1, 2))
        x = self._counts.fit_transform(train.rows["text"])
        held_out = self._counts.transform(validation.rows["text"])
        self._model = best_logistic(x, train.target, held_out, validation.target)

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        probabilities: Array = self._model.predict_proba(
            self._counts.transform(samples.rows["text"])
        )
        return probabilities

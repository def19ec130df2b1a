"""Logistic regression on words and pairs of words: hard to beat on short texts.

A word counts the more, the fewer texts it is in: term frequency, inverse document frequency.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, texts
from goodfit.baseline.logistic import best_logistic
from goodfit.contract import DataSpec


class TfIdf(Baseline):
    """Reads the raw text, not the network's tokens.

    The penalty is the one with the least log loss on validation.
    """

    kinds = ("class", "ordered")
    inputs = ("tokens",)
    title = "TF-IDF + logistic regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The vocabulary and its weights are those of train, where each text counts alike."""
        self._spec = spec
        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2))
        features = self._vectorizer.fit_transform(texts(train, spec))
        held_out = self._vectorizer.transform(texts(validation, spec))
        self._model = best_logistic(
            features,
            train.targets["target"],
            held_out,
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        features = self._vectorizer.transform(texts(samples, self._spec))
        probabilities: Array = self._model.predict_proba(features)
        return probabilities

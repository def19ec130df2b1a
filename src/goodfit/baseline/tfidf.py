"""Logistic regression on words and pairs of words: hard to beat on short texts.

A word counts the more, the fewer texts it is in: term frequency, inverse document frequency.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, text_column
from goodfit.baseline.logistic import best_logistic
from goodfit.contract import DataSpec


class TfIdf(Baseline):
    """Reads the raw text, not the network's tokens.

    The penalty is the one with the least log loss on validation.
    """

    kinds = ("class",)
    inputs = ("tokens",)
    title = "TF-IDF + logistic regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The vocabulary and its weights are those of train, where each text counts alike."""
        self._column = text_column(spec)
        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2))
        features = self._vectorizer.fit_transform(train.rows[self._column])
        held_out = self._vectorizer.transform(validation.rows[self._column])
        self._model = best_logistic(
            features,
            train.targets["target"],
            held_out,
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        features = self._vectorizer.transform(samples.rows[self._column])
        probabilities: Array = self._model.predict_proba(features)
        return probabilities

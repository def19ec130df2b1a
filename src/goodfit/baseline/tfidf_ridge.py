"""Ridge regression on words and pairs of words: a number that a text tells.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, texts
from goodfit.baseline.ridge import best_ridge
from goodfit.contract import DataSpec


class TfIdfRidge(Baseline):
    """Reads the raw text, not the network's tokens, weighed as `TfIdf` weighs it.

    The penalty is the one with the least squared error on validation.
    """

    kinds = ("number",)
    inputs = ("tokens",)
    title = "TF-IDF + ridge regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The vocabulary and its weights are those of train, where each text counts alike."""
        self._spec = spec
        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2))
        self._model = best_ridge(
            self._vectorizer.fit_transform(texts(train, spec)),
            train.targets["target"],
            self._vectorizer.transform(texts(validation, spec)),
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Numbers in the unit of the target, (N,)."""
        features = self._vectorizer.transform(texts(samples, self._spec))
        values: Array = self._model.predict(features)
        return values

"""Logistic regression on words weighed by naive Bayes: strong on snippets of a sentence or two.

Wang and Manning 2012, "Baselines and Bigrams", section 2.3, with a logistic loss for the hinge.

Letters: `base.py`, and F words and pairs of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, texts
from goodfit.baseline.logistic import best_logistic
from goodfit.contract import DataSpec

_WORD = r"\w+|[^\w\s]"  # signs as well: an exclamation mark says much of an opinion


class NaiveBayesLogistic(Baseline):
    """Reads the raw text, not the network's tokens; a model for each class against the others.

    The penalty of each is the one with the least log loss on validation.
    """

    kinds = ("class",)
    inputs = ("tokens",)
    title = "naive Bayes logistic regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The vocabulary and its weights are those of train, of N texts."""
        self._spec = spec
        self._vectorizer = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=_WORD)
        words = self._vectorizer.fit_transform(texts(train, spec))
        held_out = self._vectorizer.transform(texts(validation, spec))
        classes = range(spec.outputs)
        # of two classes, the second one's model says all
        self._models: list[tuple[Array, LogisticRegression]] = []
        for label in classes if spec.outputs > 2 else classes[1:]:
            is_label = train.targets["target"] == label
            ratio = log_ratio(words, is_label, train.sample_weight)
            model = best_logistic(
                words.multiply(ratio).tocsr(),
                is_label,
                held_out.multiply(ratio).tocsr(),
                validation.targets["target"] == label,
                weights=(train.sample_weight, validation.sample_weight),
            )
            self._models.append((ratio, model))

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        words = self._vectorizer.transform(texts(samples, self._spec))
        columns = []
        for ratio, model in self._models:
            columns.append(model.predict_proba(words.multiply(ratio).tocsr())[:, 1])
        of_label = np.stack(columns, 1)
        if len(self._models) == 1:
            return np.concatenate([1 - of_label, of_label], 1)
        shares: Array = of_label / of_label.sum(1, keepdims=True)
        return shares


def log_ratio(words: Any, is_label: Array, weight: Array | None = None) -> Array:
    """How much more often each word (F,) is in texts of a class than in the others, as a logarithm.

    `words` (N, F) are 1 where a text has the word, `is_label` (N,) where it is of the class; texts
    count by their weights (N,).
    """
    if weight is not None:
        words = words.multiply(weight[:, None]).tocsr()
    inside = 1.0 + np.asarray(words[is_label].sum(0)).ravel()
    outside = 1.0 + np.asarray(words[~is_label].sum(0)).ravel()
    ratio: Array = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return ratio

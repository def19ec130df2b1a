"""Columns, words and gradients of samples side by side, for methods that take any features.

Letters: `base.py`, and F features of a sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from goodfit.baseline.base import Array, Samples, texts
from goodfit.baseline.hog import histograms, scaled_components
from goodfit.contract import DataSpec

# a matrix product has other last digits with more rows: rounded, equal images are equal numbers,
# and a tree does not tell them apart
_DIGITS = 6
TOPICS = 50  # numbers that stand for the words of a text, where a method takes no more


class SideBySide:
    """What is learned from train of each input that the data give, but for `numbers`.

    Words are weighed by TF-IDF; with `dense`, their singular vectors stand for them. Of images it
    is the principal components of histograms of oriented gradients.
    """

    def __init__(self, train: Samples, spec: DataSpec, *, dense: bool) -> None:
        self._spec = spec
        if "tokens" in spec.inputs:
            words = TfidfVectorizer(ngram_range=(1, 2), min_df=2 if len(train) > 100 else 1)
            smaller = min(words.fit_transform(texts(train, spec)).shape)
            topics = TruncatedSVD(max(min(TOPICS, smaller - 1), 1), random_state=0)
            self._words = make_pipeline(words, topics) if dense else words
            self._words.fit(texts(train, spec))
        if "image" in spec.inputs:
            seen = histograms(train).astype(np.float64)
            self._seen = scaled_components(seen).fit(seen)

    def parts(self, samples: Samples) -> list[Any]:
        """Features (N, F) of texts and of images, as far as there are some."""
        found: list[Any] = []
        if "tokens" in self._spec.inputs:
            words = self._words.transform(texts(samples, self._spec))
            found.append(words if sparse.issparse(words) else words.round(_DIGITS))
        if "image" in self._spec.inputs:
            seen = self._seen.transform(histograms(samples).astype(np.float64))
            found.append(seen.round(_DIGITS))
        return found


def joined(parts: list[Any]) -> Any:
    """Features (N, F) side by side, sparse where one of the parts is."""
    if any(sparse.issparse(part) for part in parts):
        return sparse.hstack([sparse.csr_matrix(part) for part in parts], "csr")
    dense: Array = np.concatenate(parts, axis=1)
    return dense

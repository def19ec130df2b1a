"""What a translator's memory gives: the translation of the most similar sentence of train.

Letters: `base.py`.
"""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import PAD, DataSpec
from goodfit.system import tokenizer

_BLOCK = 256  # samples that are compared with all of train at once: 14 MB for 14,000 sentences


class TranslationMemory(Baseline):
    """Similar are sentences that share rare parts of words: two to five characters of one word.

    Nothing is chosen on validation.
    """

    kinds = ("text",)
    inputs = ("source",)
    title = "translation memory"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Keeps train, (N, ...): its sources as vectors of length one, and their texts."""
        self._vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32
        )
        self._known = self._vectorizer.fit_transform(train.rows["source"]).T.tocsr()
        self._texts = train.targets["text"]

    def predict(self, samples: Samples) -> Array:
        """Tokens (N, T) of the text whose source has the largest cosine; of equal ones the first.

        `PAD` is behind the end of the shorter ones.
        """
        sources = self._vectorizer.transform(samples.rows["source"])
        nearest: list[int] = []
        for first in range(0, len(samples), _BLOCK):
            cosines = (sources[first : first + _BLOCK] @ self._known).toarray()
            nearest += cosines.argmax(1).tolist()
        return tokenizer.padded([self._texts[row] for row in nearest], PAD)

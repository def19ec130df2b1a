"""A dictionary learned from pairs of texts: each word becomes its most likely translation.

The lexical model that statistical translation began with (Brown et al. 1993, model 1), in both
directions, as Och and Ney 2003 join two.

Letters: `base.py`; W different words of the sources, V of the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import END, PAD, DataSpec
from goodfit.system import tokenizer

Word = tuple[int, ...]  # tokens, of which the first may begin with a space

_ROUNDS = 5  # of expectation and maximization, as Brown et al.; more make rare words too sure
_LEAST = 1e-3  # less likely translations are forgotten: 9 of 10 pairs


class WordDictionary(Baseline):
    """Words stay in the order of the source, and what train does not have stays as it is.

    Words are tokens up to the next space. Nothing is chosen on validation.
    """

    kinds = ("text",)
    inputs = ("source",)
    title = "word-by-word dictionary"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Learns from train: sources and texts, N arrays of tokens each."""
        self._begins = tokenizer.begins_word(spec.assets[tokenizer.FILE])
        sources = [self._words(tokens) for tokens in train.inputs["source"]]
        texts = [self._words(tokens) for tokens in train.targets["text"]]
        forth, back = likely(sources, texts), likely(texts, sources)
        best: dict[Word, tuple[float, Word]] = {}
        for (word, translation), chance in forth.items():
            joint = chance * back.get((translation, word), 0.0)
            if joint > best.get(word, (0.0, ()))[0]:
                best[word] = (joint, translation)
        self._dictionary = {word: translation for word, (_, translation) in best.items()}

    def predict(self, samples: Samples) -> Array:
        """Tokens (N, T), each text with `END` and then `PAD` behind it."""
        texts = []
        for tokens in samples.inputs["source"]:
            words = self._words(tokens)
            translated = [self._dictionary.get(word, word) for word in words]
            texts.append(np.array([token for word in translated for token in word] + [END]))
        return tokenizer.padded(texts, PAD)

    def _words(self, tokens: Array) -> list[Word]:
        """The words of a text (T,), without its end."""
        inside = tokens[tokens != END]
        starts = 1 + np.flatnonzero(self._begins[inside[1:]])
        return [tuple(word.tolist()) for word in np.split(inside, starts)]


def likely(
    sources: Sequence[Sequence[Word]], texts: Sequence[Sequence[Word]]
) -> dict[tuple[Word, Word], float]:
    """How likely a word of a source is to become a word of its text, by model 1.

    Each word of a text comes from one word of the source, or from none, all of them as likely
    beforehand.
    """
    known, source_rows = _numbered(sources)
    translations, text_rows = _numbered(texts)
    nothing = len(known)
    pairs = [np.empty((3, 0), np.int64)]
    place = 0  # of a word in all texts
    for source, text in zip(source_rows, text_rows, strict=True):
        origins = np.append(source, nothing)
        places = place + np.arange(len(text))
        pairs.append(
            np.stack(
                [
                    np.tile(origins, len(text)),
                    np.repeat(text, len(origins)),
                    np.repeat(places, len(origins)),
                ]
            )
        )
        place += len(text)
    origin, translation, where = np.concatenate(pairs, axis=1)

    pair, index = np.unique(origin * len(translations) + translation, return_inverse=True)
    pair_origin, pair_translation = np.divmod(pair, max(1, len(translations)))
    chance = np.ones(len(pair))
    for _ in range(_ROUNDS):
        share = chance[index]
        share /= np.bincount(where, share)[where]
        count = np.bincount(index, share)
        chance = count / np.bincount(pair_origin, count)[pair_origin]

    result = {}
    for one, other, value in zip(pair_origin, pair_translation, chance, strict=True):
        if one != nothing and value > _LEAST:
            result[known[one], translations[other]] = float(value)
    return result


def _numbered(texts: Iterable[Iterable[Word]]) -> tuple[list[Word], list[Array]]:
    """The different words, and for each text the numbers of its words."""
    numbers: dict[Word, int] = {}
    rows = []
    for text in texts:
        rows.append(np.array([numbers.setdefault(word, len(numbers)) for word in text], np.int64))
    return list(numbers), rows

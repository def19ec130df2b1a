"""Texts as numbers of words: the vocabulary of train, and each text's tokens.

Letters: B texts, T tokens of each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from goodfit.contract import PAD, UNKNOWN, Field

Array = np.ndarray[Any, Any]
Splitter = Callable[[str], list[str]]
# of any script: a word with what is joined to it by an apostrophe, or a single mark
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Small letters; words, numbers and marks, one by one."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def vocabulary(texts: Iterable[str], split: Splitter, min_count: int) -> tuple[str, ...]:
    """Padding, the unknown word, and words that occur `min_count` times, the most frequent first.

    By the word among equal counts: tokens do not depend on the order of the texts.
    """
    counts = Counter(word for text in texts for word in split(text))
    frequent = [word for word, count in counts.items() if count >= min_count]
    frequent.sort(key=lambda word: (-counts[word], word))
    return ("<pad>", "<unk>", *frequent)


def encode(texts: Sequence[str], split: Splitter, field: Field) -> dict[str, Array]:
    """`tokens` (B, T), 0 behind the end, and `mask` (B, T), true where there is a token.

    `field` is that of `tokens`. A text without a word is an unknown one: attention to nothing at
    all is NaN.
    """
    token_of = {word: token for token, word in enumerate(field.vocabulary)}
    (length,) = field.fixed_shape
    tokens = np.full((len(texts), length), PAD, np.int64)
    for row, text in enumerate(texts):
        known = [token_of.get(word, UNKNOWN) for word in split(text)[:length]] or [UNKNOWN]
        tokens[row, : len(known)] = known
    return {"tokens": tokens, "mask": tokens != PAD}

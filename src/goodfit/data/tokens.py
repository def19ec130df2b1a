"""Texts as numbers of words: the vocabulary of train, and each text's tokens.

Letters: B texts, T tokens of each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from goodfit.contract import PAD, UNKNOWN, Field

Array = np.ndarray[Any, Any]
Text = TypeVar("Text")  # one, or what several columns have of a sample
# of any script: a word with what is joined to it by an apostrophe, or a single mark
# in the place of a text that is missing: no word is written so
MISSING = "<missing>"
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Small letters; words, numbers and marks, one by one."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def joined(texts: Mapping[str, str], length: int) -> list[str]:
    """The words of a sample's texts by the names of their columns, `length` of each at most.

    Where there are several, the name stands before each. A text without a word is a missing one.
    """
    parts: list[str] = []
    for name, text in texts.items():
        parts += [f"<column {name}>"] if len(texts) > 1 else []
        parts += words(text)[:length] or [MISSING]
    return parts


def vocabulary(
    texts: Iterable[Text], split: Callable[[Text], list[str]], min_count: int
) -> tuple[str, ...]:
    """Padding, the unknown word, and words that occur `min_count` times, the most frequent first.

    By the word among equal counts: tokens do not depend on the order of the texts.
    """
    counts = Counter(word for text in texts for word in split(text))
    frequent = [word for word, count in counts.items() if count >= min_count]
    frequent.sort(key=lambda word: (-counts[word], word))
    return ("<pad>", "<unk>", *frequent)


def encode(
    texts: Sequence[Text], split: Callable[[Text], list[str]], field: Field
) -> dict[str, Array]:
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

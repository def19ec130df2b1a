"""Texts to tokens and back: without loss, whatever is in them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from goodfit.contract import END, PAD, UNKNOWN
from goodfit.errors import UserError
from goodfit.system import tokenizer

RESERVED = ["<pad>", "<unk>", "<end>"]
TEXTS = ["Choose Format - Rows - Show.", "Choisissez Format - Lignes - Afficher.", "Show rows."]
CONTENT = tokenizer.learn(TEXTS, 290, RESERVED)


@pytest.mark.parametrize(
    "text",
    [
        "Été : 12,5 %",
        " two  spaces ",
        "<end> <pad>",
        "日本語 \N{GRINNING FACE}",
        "a\nb",
        "cafe\u0301",
    ],
)
def test_a_text_comes_back_whole(text: str) -> None:
    """Also one that train lacks, and one that is written like a reserved token."""
    made = tokenizer.load(CONTENT)
    tokens = made.encode(text).ids
    assert made.decode(tokens) == text
    assert min(tokens) > max(PAD, UNKNOWN, END)


def test_reserved_tokens_are_the_first_and_no_part_of_a_text() -> None:
    made = tokenizer.load(CONTENT)
    assert [made.id_to_token(number) for number in (PAD, UNKNOWN, END)] == RESERVED
    assert made.decode([*made.encode("Show").ids, END, PAD, PAD]) == "Show"


def test_frequent_words_become_few_tokens() -> None:
    made = tokenizer.load(CONTENT)
    assert made.get_vocab_size() == 290
    assert len(made.encode("Choose Format").ids) < len(made.encode("Zhygkq Qwxzvk").ids)


def test_what_is_learned_depends_on_the_texts_alone() -> None:
    assert tokenizer.learn(TEXTS, 290, RESERVED) == CONTENT
    assert tokenizer.learn(TEXTS[::-1], 290, RESERVED) == CONTENT
    assert tokenizer.learn(TEXTS[:2], 290, RESERVED) != CONTENT


def test_a_missing_library_is_told_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError) as told:
        tokenizer.learn(TEXTS, 290, RESERVED)
    assert str(told.value).splitlines() == [
        "tokenizers is not installed; `pip install -c requirements.lock -e '.[text]'` "
        "in the repository brings it"
    ]


def test_texts_of_different_lengths_are_padded_to_the_longest() -> None:
    texts = [np.array([5, END]), np.array([END])]
    assert tokenizer.padded(texts, PAD).tolist() == [[5, END], [END, PAD]]
    assert tokenizer.padded(np.array([[5, END]]), PAD).tolist() == [[5, END]]
    assert tokenizer.padded([], PAD).shape == (0, 0)

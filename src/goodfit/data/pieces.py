"""Texts as the pieces of words that a pretrained network knows: by its tokenizer, a raw file.

Letters: B texts, T tokens of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goodfit.contract import PAD, UNKNOWN, DataSpec, Field
from goodfit.errors import UserError
from goodfit.system import tokenizer

SOURCE = "tokenizer"  # the raw file, where there is one
Array = np.ndarray[Any, Any]


def read(raw: Mapping[str, Path], length: int) -> bytes | None:
    """The content of the raw file `tokenizer`; None where there is none, and words are tokens.

    Raises:
        UserError: it is no tokenizer of `length` tokens, or the extra `text` is not installed.
    """
    path = raw.get(SOURCE)
    if path is None:
        return None
    content = path.read_bytes()
    try:
        tokenizer.pretrained(content, length)
    except UserError as error:
        raise UserError(f"data.sources.{SOURCE}: {path.name}: {error}") from None
    return content


def vocabulary(content: bytes) -> tuple[str, ...]:
    """The pieces of a tokenizer.json by number."""
    return tokenizer.vocabulary(tokenizer.load(content))


def encode(texts: Sequence[str], spec: DataSpec) -> dict[str, Array]:
    """`tokens` (B, T), 0 behind the end, and `mask` (B, T), true where there is a token.

    The tokenizer is the one that travels with the spec.
    """
    (length,) = spec.inputs["tokens"].fixed_shape
    made = tokenizer.pretrained(spec.assets[tokenizer.FILE], length)
    tokens = np.full((len(texts), length), PAD, np.int64)
    mask = np.zeros((len(texts), length), bool)
    for row, text in enumerate(texts):
        # marks at both ends make no text empty, but of a tokenizer that sets none
        pieces = made.encode(text).ids or [UNKNOWN]
        tokens[row, : len(pieces)], mask[row, : len(pieces)] = pieces, True
    return {"tokens": tokens, "mask": mask}


def fields(content: bytes | None, words: tuple[str, ...], length: int) -> dict[str, Field]:
    """The inputs `tokens` and `mask`: pieces of the tokenizer where there is one, else `words`."""
    known = words if content is None else vocabulary(content)
    return {
        "tokens": Field((length,), "int64", vocabulary=known),
        "mask": Field((length,), "bool"),
    }


def assets(content: bytes | None) -> dict[str, bytes]:
    """The files that a spec carries: the tokenizer's, where there is one."""
    return {} if content is None else {tokenizer.FILE: content}

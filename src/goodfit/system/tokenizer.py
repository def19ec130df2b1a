"""Texts to tokens: by byte-level BPE that is learned, or as a pretrained network was given them.

Byte-level BPE brings texts back without loss, and has no unknown word: Sennrich et al. 2016, on
bytes as in Radford et al. 2019. Texts are encoded one by one: the batched calls start threads, and
a process that forks afterwards is warned, and may wait for ever.

Letters: B texts, T tokens of the longest, V tokens of a vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from goodfit.errors import UserError
from goodfit.system.extras import needs

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Array = np.ndarray[Any, Any]
PAD = 0  # as in `contract`, which stands above
FILE = "tokenizer.json"  # among the assets of a spec


def learn(texts: Iterable[str], size: int, reserved: Sequence[str]) -> bytes:
    """The content of a tokenizer.json with at most `size` tokens; `reserved` are the first of them.

    Each of the 256 bytes is a token, so that there may be more than `size`.

    Raises:
        UserError: the extra `text` is not installed.
    """
    with needs("text"):
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # no space before the first word: decoding would not take it away again
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(reserved),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str().encode()


@lru_cache(maxsize=4)
def load(content: bytes) -> Tokenizer:
    """The tokenizer of a tokenizer.json.

    Raises:
        UserError: the extra `text` is not installed.
    """
    with needs("text"):
        from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(content.decode())
    # what a text says of "<end>" is a text; the file does not keep this setting
    tokenizer.encode_special_tokens = True
    return tokenizer


@lru_cache(maxsize=4)
def pretrained(content: bytes, longest: int) -> Tokenizer:
    """The tokenizer of somebody's tokenizer.json; it gives `longest` tokens of a text at most.

    Marks such as BERT's [CLS] and [SEP] are among them, also where a text is cut.

    Raises:
        UserError: the content is no tokenizer.json, its first token is no padding, the marks leave
            no room, or the extra `text` is not installed.
    """
    with needs("text"):
        from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(content.decode())
        tokenizer.no_padding()  # the file may say that each text is padded to 128
        tokenizer.enable_truncation(longest)
    except Exception as error:  # the library raises nothing narrower
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"no tokenizer.json of the library tokenizers ({reason})") from None
    first = tokenizer.id_to_token(PAD) or ""
    if "pad" not in first.lower():
        raise UserError(f"its token 0 is {first!r}; expected padding, as of BERT's")
    marks = tokenizer.num_special_tokens_to_add(is_pair=False)
    if longest <= marks:
        raise UserError(f"{longest} tokens leave no room beside its {marks} marks of a text's ends")
    tokenizer.encode_special_tokens = True
    return tokenizer


def vocabulary(made: Tokenizer) -> tuple[str, ...]:
    """The tokens by number, (V,); "" for a number that the file leaves out."""
    numbers = range(max(made.get_vocab().values()) + 1)
    return tuple(made.id_to_token(number) or "" for number in numbers)


def begins_word(content: bytes) -> Array:
    """Which tokens of a tokenizer.json begin with a space, by number: booleans (V,), V tokens."""
    # this sign stands for a space in byte-level BPE
    space = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"
    return np.array([text.startswith(space) for text in vocabulary(load(content))])


def padded(texts: Iterable[Array], fill: int) -> Array:
    """Tokens (B, T) of texts (T,) each, with `fill` behind the end of the shorter ones."""
    rows = list(texts)
    tokens = np.full((len(rows), max(map(len, rows), default=0)), fill, np.int64)
    for row, text in enumerate(rows):
        tokens[row, : len(text)] = text
    return tokens

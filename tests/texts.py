"""A small vocabulary and texts of two languages, for tests of what reads and writes texts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from goodfit.contract import END, PAD, DataSpec, Field
from goodfit.system import tokenizer

SOURCES = ["Opens the file.", "Closes the window.", "Opens a new window.", "Deletes the old file."]
TARGETS = [
    "Ouvre le fichier.",
    "Ferme la fenêtre.",
    "Ouvre une nouvelle fenêtre.",
    "Supprime l'ancien fichier.",
]
CONTENT = tokenizer.learn(SOURCES + TARGETS, 320, ("<pad>", "<unk>", "<end>"))


def spec(longest: int = 24) -> DataSpec:
    """That of a data set with these texts; `longest` bounds what is written."""
    made = tokenizer.load(CONTENT)
    return DataSpec(
        data="x",
        kind="text",
        outputs=made.get_vocab_size(),
        inputs={"source": Field((None,), "int64", longest=24)},
        targets={"text": Field((None,), "int64", longest=longest)},
        assets={"tokenizer.json": CONTENT},
    )


def tokens(text: str) -> list[int]:
    """The tokens of a text, with END behind the last."""
    return [*tokenizer.load(CONTENT).encode(text).ids, END]


def padded(texts: Sequence[str]) -> Tensor:
    """Tokens (B, T) of texts, PAD behind the end of the shorter ones."""
    rows = [torch.tensor(tokens(text)) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def targets(texts: Sequence[str]) -> dict[str, Tensor]:
    """What a batch holds of the ragged target `text`."""
    lengths = torch.tensor([len(tokens(text)) for text in texts])
    return {"text": padded(texts), "text_length": lengths}

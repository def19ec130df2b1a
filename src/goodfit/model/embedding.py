"""Embeddings of words, and a linear model on them.

Letters: B batch, T tokens, V vocabulary, D width, K outputs, N character n-grams of a word.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import PAD, UNKNOWN

NGRAM_LENGTHS = (3, 4, 5)  # in characters
MOST_NGRAMS = 16  # of a word; the first ones, by length


class Words(nn.Module):
    """A vector for each word, plus those of its character n-grams.

    A word that is rare in train shares its n-grams with frequent ones (fastText, Bojanowski et al.
    2017): worth 0.8 points of accuracy on 7,650 film reviews. The sum of a word's n vectors is
    divided by the root of n, so its scale does not depend on n.
    """

    ngrams: Tensor

    def __init__(self, vocabulary: tuple[str, ...], width: int, buckets: int) -> None:
        super().__init__()
        # made from the vocabulary, so it need not be stored with the weights
        self.register_buffer("ngrams", character_ngrams(vocabulary, buckets), persistent=False)
        self.word = nn.Embedding(len(vocabulary), width, padding_idx=PAD)
        self.part = nn.Embedding(buckets, width, padding_idx=PAD)
        for table in (self.word, self.part):
            nn.init.normal_(table.weight, std=0.05)
            nn.init.zeros_(table.weight[PAD])

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) to (B, T, D)."""
        ngrams = self.ngrams[tokens]  # (B, T, N)
        # one call looks up and sums, with no tensor (B, T, N, D) between
        total = F.embedding_bag(ngrams.flatten(0, 1), self.part.weight, mode="sum", padding_idx=PAD)
        count = (ngrams != PAD).sum(-1, keepdim=True).clamp(min=1)
        vectors: Tensor = self.word(tokens) + total.view(*tokens.shape, -1) / count.sqrt()
        return vectors


class Wide(nn.Module):
    """Linear in words and pairs of neighbours, as logistic regression on n-grams is.

    Beside a deep network it keeps what is simple simple (wide and deep, Cheng et al. 2016). Pairs
    are hashed; the weights start at zero, and `scale` makes up for the small steps that AdamW takes
    with rare words.
    """

    def __init__(
        self, words: int, outputs: int, *, buckets: int, scale: float, dropout: float
    ) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout
        self.word = nn.Embedding(words, outputs)
        self.pair = nn.Embedding(buckets, outputs)
        nn.init.zeros_(self.word.weight)
        nn.init.zeros_(self.pair.weight)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, T) and mask (B, T), true where there is a word, to logits (B, K)."""
        kept = mask & (tokens != UNKNOWN)
        if self.training:
            kept = kept & (torch.rand(tokens.shape, device=tokens.device) >= self.dropout)
        kept_pairs = kept[:, 1:] & kept[:, :-1]
        # a hash on the device: no table of pairs is kept
        pairs = (tokens[:, :-1] * 1_000_003 + tokens[:, 1:] * 7_919) % self.pair.num_embeddings

        of_words = (self.word(tokens) * kept[..., None]).sum(1)
        of_pairs = (self.pair(pairs) * kept_pairs[..., None]).sum(1)
        count = (kept.sum(1) + kept_pairs.sum(1)).clamp(min=1)[:, None]
        logits: Tensor = (of_words + of_pairs) * self.scale / count.sqrt() + self.bias
        return logits


def character_ngrams(vocabulary: tuple[str, ...], buckets: int) -> Tensor:
    """Hashed n-grams of each word, (V, N), with 0 behind the last; <pad> and <unk> have none."""
    table = torch.zeros(len(vocabulary), MOST_NGRAMS, dtype=torch.long)
    for row, word in enumerate(vocabulary):
        if row <= UNKNOWN or len(word) < 2:
            continue
        for column, ngram in enumerate(_ngrams(word)):
            if column == MOST_NGRAMS:
                break
            # crc32, for Python's own hash differs from process to process
            table[row, column] = 1 + zlib.crc32(ngram.encode()) % (buckets - 1)
    return table


def _ngrams(word: str) -> Iterator[str]:
    """Those of a word with its ends marked, so that a prefix is told from what is in the middle."""
    marked = f"<{word}>"
    for length in NGRAM_LENGTHS:
        if length >= len(marked):  # that would be the word itself
            return
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]

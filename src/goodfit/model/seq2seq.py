"""Encoder and decoder for one text made of another.

Letters: B sources, W hypotheses of each, N = B W, S tokens of a source, T tokens of a text, D
width, H heads, V tokens of the vocabulary.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import PAD, DataSpec
from goodfit.errors import UserError
from goodfit.model.blocks import StochasticDepth, depths
from goodfit.schema import Count, Fraction

Cache = tuple[Tensor, ...]  # keys and values (N, H, T, D / H) of each block in turn


class Memory(NamedTuple):
    """What the decoder knows of B sources, however many hypotheses of each it follows.

    `crosses` are keys and values (B, H, S, D / H) of each block in turn; `mask` (B, S) is true
    where there is a token.
    """

    crosses: tuple[Tensor, ...]
    mask: Tensor


class Seq2Seq(nn.Module):
    """A Transformer (Vaswani et al. 2017), with the norms before each part (Xiong et al. 2020).

    Both languages share one vocabulary, and one table of vectors reads it and writes it (Press and
    Wolf 2017). Positions are sines, so a text may be longer than all of train.

    Raises:
        UserError: `width` is odd, or no multiple of `heads`.
    """

    output_form = "sequence"

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Count,
        heads: Count,
        blocks: Count,
        dropout: Fraction,
        stochastic_depth: Fraction,
    ) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise UserError(
                f"model.width={width}; expected an even multiple of model.heads={heads}"
            )
        self.width = width
        # no nn.Embedding: under FSDP a child's weights are gathered for its own forward alone.
        # Of this size logits start near one, and not near the root of the width
        self.table = nn.Parameter(torch.randn(spec.outputs, width) * width**-0.5)
        self.dropout = nn.Dropout(dropout)
        shares = depths(stochastic_depth, blocks)
        self.encoder = nn.ModuleList(EncoderBlock(width, heads, dropout, each) for each in shares)
        self.encoded = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(DecoderBlock(width, heads, dropout, each) for each in shares)
        self.decoded = nn.LayerNorm(width)

    def forward(self, source: Tensor, previous: Tensor) -> Tensor:
        """source (B, S) and the tokens before each place (B, T) to logits (B, T, V)."""
        memory = self.read(source)
        x = self._embed(previous, 0)
        for block, cross in zip(self.decoder, _pairs(memory.crosses), strict=True):
            x, _ = block(x, cross, memory.mask, None)
        return self._logits(x)

    def read(self, source: Tensor) -> Memory:
        """The encoder's part: source (B, S), `PAD` behind its end, to what `step` needs of it."""
        mask = source != PAD
        x = self._embed(source, 0)
        for block in self.encoder:
            x = block(x, mask)
        x = self.encoded(x)

        crosses: list[Tensor] = []
        for block in self.decoder:
            assert isinstance(block, DecoderBlock)  # what an nn.ModuleList does not know
            crosses += block.cross.keys_and_values(x)
        return Memory(tuple(crosses), mask)

    def step(self, tokens: Tensor, memory: Memory, cache: Cache) -> tuple[Tensor, Cache]:
        """The last tokens (N,) to logits (N, V) of the next ones, and the cache for that call.

        `cache` is () before the first token; its tensors have N rows, so that a search can put
        hypotheses in another order. Hypotheses of one source stand side by side: W = N / B.
        """
        place = cache[0].shape[2] if cache else 0
        x = self._embed(tokens[:, None], place)
        pasts = _pairs(cache) if cache else [None] * len(self.decoder)

        grown: list[Tensor] = []
        for block, cross, past in zip(self.decoder, _pairs(memory.crosses), pasts, strict=True):
            x, present = block(x, cross, memory.mask, past)
            grown += present
        return self._logits(x)[:, 0], tuple(grown)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        """Vectors (B, T, D) of tokens (B, T), the first of them at place `first`."""
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        x = F.embedding(tokens, self.table) * math.sqrt(self.width)
        vectors: Tensor = self.dropout(x + sines(places, self.width).to(x.dtype))
        return vectors

    def _logits(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, V), with the table that also reads."""
        return F.linear(self.decoded(x), self.table)


class EncoderBlock(nn.Module):
    """Self-attention, then two layers on each token alone, each added to its own input."""

    def __init__(self, width: int, heads: int, dropout: float, stochastic_depth: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed = FeedForward(width, dropout, stochastic_depth)
        self.skip = StochasticDepth(stochastic_depth)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, S, D) and mask (B, S) to (B, S, D); no token attends to one outside the mask."""
        normed = self.norm(x)
        keys_and_values = self.attention.keys_and_values(normed)
        attended = self.attention(normed, keys_and_values, mask=mask[:, None, None, :])
        output: Tensor = self.feed(x + self.skip(self.dropout(attended)))
        return output


class DecoderBlock(nn.Module):
    """Attention to the text so far and to the source, then two layers on each token alone."""

    def __init__(self, width: int, heads: int, dropout: float, stochastic_depth: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = Attention(width, heads)
        self.feed = FeedForward(width, dropout, stochastic_depth)
        self.skip = StochasticDepth(stochastic_depth)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        cross: tuple[Tensor, Tensor],
        mask: Tensor,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (N, T, D) to (N, T, D), with keys and values (N, H, T, D / H) of the text so far.

        `cross` (B, H, S, D / H) and `mask` (B, S) are those of the sources. `past` are the keys and
        values of earlier calls, and then x is a single token.
        """
        normed = self.norm(x)
        present = self.attention.keys_and_values(normed)
        if past is not None:
            present = _longer(past, present)
        # a single token is behind all the others: it sees every one of them
        attended = self.attention(normed, present, is_causal=past is None)
        x = x + self.skip(self.dropout(attended))

        # hypotheses of one source are for its keys what tokens are: queries side by side
        sources, tokens, width = len(mask), x.shape[1], x.shape[2]
        query = self.cross_norm(x).reshape(sources, -1, width)
        told = self.cross(query, cross, mask=mask[:, None, None, :])
        x = x + self.skip(self.dropout(told.reshape(-1, tokens, width)))
        return self.feed(x), present


class Attention(nn.Module):
    """Scaled dot products of H heads (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.project = nn.Linear(width, width)

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) to two of (B, H, S, D / H)."""
        key, value = self.key_value(x).chunk(2, -1)
        return self._by_head(key), self._by_head(value)

    def forward(
        self,
        x: Tensor,
        keys_and_values: tuple[Tensor, Tensor],
        *,
        mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Queries x (B, T, D) and keys and values (B, H, S, D / H) to (B, T, D).

        `mask` (B, 1, 1, S) is true where a token may be attended to. `is_causal`: only those up to
        the token's own place may.
        """
        attended = F.scaled_dot_product_attention(
            self._by_head(self.query(x)), *keys_and_values, attn_mask=mask, is_causal=is_causal
        )
        output: Tensor = self.project(attended.transpose(1, 2).flatten(2))
        return output

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, H, T, D / H)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two layers on each token alone, added to their input."""

    def __init__(self, width: int, dropout: float, stochastic_depth: float) -> None:
        super().__init__()
        self.skip = StochasticDepth(stochastic_depth)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same shape."""
        output: Tensor = x + self.skip(self.layers(self.norm(x)))
        return output


def sines(places: Tensor, width: int) -> Tensor:
    """Vectors (T, D) of places (T,): sines and cosines of wave lengths from 2 pi to 20,000 pi.

    Vaswani et al. 2017, section 3.5, with the sines in the first half.
    """
    half = torch.arange(width // 2, device=places.device)
    angle = places[:, None] * torch.exp(half * (-2 * math.log(10_000) / width))
    return torch.cat([angle.sin(), angle.cos()], 1)


def _pairs(tensors: tuple[Tensor, ...]) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each block, from all in turn."""
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def _longer(past: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Keys and values (N, H, T, D / H) with those of a token (N, H, 1, D / H) behind them."""
    key, value = (torch.cat(pair, 2) for pair in zip(past, new, strict=True))
    return key, value

"""Transformer encoder for short texts. Letters: B batch, T tokens, D width, H heads, K outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import UNKNOWN, DataSpec
from goodfit.errors import UserError
from goodfit.model.blocks import StochasticDepth, depths
from goodfit.model.embedding import Wide, Words
from goodfit.schema import Amount, Count, Fraction


class Transformer(nn.Module):
    """The sum of a deep branch, a Transformer over words, and the wide one of `Wide`.

    The deep branch is pre-norm self-attention (Vaswani et al. 2017), pooled by mean and maximum.
    It is made for training from scratch on thousands of texts, not millions: one narrow block,
    strong dropout, and beside it a linear model.

    Raises:
        UserError: `heads` does not divide `width`, or there are less than two buckets of subwords.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Count,
        heads: Count,
        blocks: Count,
        subwords: Count,
        pairs: Count,
        wide_scale: Amount,
        wide_dropout: Fraction,
        word_dropout: Fraction,
        embedding_dropout: Fraction,
        dropout: Fraction,
        head_dropout: Fraction,
        stochastic_depth: Fraction,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"model.heads={heads} does not divide model.width={width}")
        if subwords < 2:  # the first bucket is for words without n-grams
            raise UserError(f"model.subwords={subwords}; expected at least 2")
        tokens = spec.inputs["tokens"]
        (length,) = tokens.fixed_shape
        words = len(tokens.vocabulary)

        self.word_dropout = word_dropout
        self.wide = Wide(words, spec.outputs, buckets=pairs, scale=wide_scale, dropout=wide_dropout)
        self.words = Words(tokens.vocabulary, width, subwords)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        self.embedding_dropout = ChannelDropout(embedding_dropout)
        self.head_dropout = nn.Dropout(head_dropout)
        shares = depths(stochastic_depth, blocks)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, share) for share in shares)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(2 * width, spec.outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, T) and mask (B, T), true where there is a word, to logits (B, K)."""
        # what is behind the longest text is padding: a third of the work
        longest = int(mask.sum(1).max())
        tokens, mask = tokens[:, :longest], mask[:, :longest]

        # the wide branch first: their order is that of their random numbers
        logits: Tensor = self.wide(tokens, mask) + self.deep(tokens, mask)
        return logits

    def deep(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The deep branch's part of the logits: tokens (B, T) and mask (B, T) to (B, K)."""
        if self.training:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped & mask, UNKNOWN)

        x = self.embedding_dropout(self.words(tokens) + self.position[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)  # (B, T, D)

        is_word = mask[..., None]
        # never by 0: `encode` gives a text without a word an unknown one
        mean = (x * is_word).sum(1) / is_word.sum(1)
        # below all that LayerNorm gives, and within the range of half precision
        maximum = x.masked_fill(~is_word, -1e4).amax(1)
        logits: Tensor = self.head(self.head_dropout(torch.cat([mean, maximum], 1)))
        return logits


class Block(nn.Module):
    """Self-attention, then two layers on each token alone, each added to its own input."""

    def __init__(self, width: int, heads: int, dropout: float, stochastic_depth: float) -> None:
        super().__init__()
        self.heads = heads
        self.skip = StochasticDepth(stochastic_depth)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.dropout = ChannelDropout(dropout)
        self.think = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            ChannelDropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, D) and mask (B, T) to (B, T, D); no token attends to one outside the mask."""
        batch, tokens, width = x.shape
        by_head = self.attend(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = by_head.permute(2, 0, 3, 1, 4)  # each (B, H, T, D / H)
        # true where a token may be attended to; nn.MultiheadAttention's masks say the opposite
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None, :]
        )
        joined = attended.transpose(1, 2).reshape(batch, tokens, width)

        x = x + self.skip(self.dropout(self.project(joined)))
        output: Tensor = x + self.skip(self.dropout(self.think(self.norm2(x))))
        return output


class ChannelDropout(nn.Module):
    """Drops the same channels of all tokens of a text (Gal and Ghahramani 2016).

    It takes half of nn.Dropout's time on a CPU.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same shape."""
        if not self.training or self.share == 0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.share
        return x * (keep / (1 - self.share))

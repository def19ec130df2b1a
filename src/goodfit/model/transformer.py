"""Transformer encoder for short texts. Letters: B batch, T places, D width, H heads, K outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.model.words import UNKNOWN, Wide, Words
from goodfit.schema import Amount, Count, Fraction


class Transformer(nn.Module):
    """Pre-norm self-attention (Vaswani et al. 2017) over words, pooled by mean and maximum, plus a
    wide branch.

    Made for training from scratch on thousands of texts, not millions: one narrow block, strong
    dropout, and beside it the linear model of `Wide`.
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
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"model.heads={heads} does not divide model.width={width}")
        if subwords < 2:  # the first bucket is for words without any
            raise UserError(f"model.subwords={subwords}; expected at least 2")
        (length,) = spec.inputs["tokens"].shape
        words = len(spec.vocabulary)
        self.word_dropout = word_dropout
        self.wide = Wide(words, spec.outputs, buckets=pairs, scale=wide_scale, dropout=wide_dropout)
        self.words = Words(spec.vocabulary, width, subwords)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        self.embedding_dropout, self.head_dropout = (
            ChannelDropout(embedding_dropout),
            nn.Dropout(head_dropout),
        )
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(2 * width, spec.outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, T) and mask (B, T), true where there is a word, to logits (B, K)."""
        longest = int(mask.sum(1).max())  # the rest of the batch is padding: a third of the work
        tokens, mask = tokens[:, :longest], mask[:, :longest]
        logits: Tensor = self.wide(tokens, mask) + self.deep(tokens, mask)
        return logits

    def deep(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The Transformer's own logits, (B, K)."""
        if self.training:
            lost = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(lost & mask, UNKNOWN)
        x = self.embedding_dropout(self.words(tokens) + self.position[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x, mask)
        x, there = self.norm(x), mask[..., None]
        mean = (x * there).sum(1) / there.sum(1)
        highest = x.masked_fill(~there, -1e4).amax(1)
        logits: Tensor = self.head(self.head_dropout(torch.cat([mean, highest], 1)))
        return logits


class Block(nn.Module):
    """Self-attention, then two layers at each place; each with its input added."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dropout = ChannelDropout(dropout)
        self.think = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            ChannelDropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) to the same; places outside the mask are not looked at."""
        batch, places, width = x.shape
        heads = self.attend(self.norm1(x)).view(batch, places, 3, self.heads, width // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, H, T, D / H)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        x = x + self.dropout(self.project(seen.transpose(1, 2).reshape(batch, places, width)))
        summed: Tensor = x + self.dropout(self.think(self.norm2(x)))
        return summed


class ChannelDropout(nn.Module):
    """Drops the same channels at all places of a text (Gal and Ghahramani 2016); half nn.Dropout's
    time on a CPU.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        if not self.training or self.share == 0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.share
        return x * (keep / (1 - self.share))

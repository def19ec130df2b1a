"""A BERT encoder whose states are averaged over a text: a vector of each layer for each sentence.

Devlin et al. 2019; averaged as in Sentence-BERT (Reimers and Gurevych 2019). Modules have the names
that files of BERT give them, so that such a file fits without a list of names.

Letters: B batch, T tokens, N tokens of all texts without padding, D width, H heads, L layers whose
states are read, K outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.model.blocks import Layers
from goodfit.schema import Count, Fraction

_EPSILON = 1e-12  # of BERT's LayerNorm: PyTorch's own is 1e-5


class SentenceEncoder(nn.Module):
    """BERT, the mean of the states of its last `read` layers, and a linear head.

    Each layer tells something else (Tenney et al. 2019, "BERT Rediscovers the Classical NLP
    Pipeline"): the last one of a network that was trained to compare sentences has lost some of
    what they feel like. Before the head each feature is standardised by the batch, as for probes of
    masked autoencoders (He et al. 2022, appendix A). Embeddings count as a layer. It is made to
    start from pretrained weights; from its seed alone it needs far more texts than `Transformer`.
    `dropout` is that of BERT, everywhere but in the head.

    Raises:
        UserError: `heads` does not divide `width`, a text has more tokens than `positions`, or
            there are not so many layers as are to be `read`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Count,
        heads: Count,
        blocks: Count,
        positions: Count,
        read: Count,
        dropout: Fraction,
        head_dropout: Fraction,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"model.heads={heads} does not divide model.width={width}")
        if read > blocks + 1:
            raise UserError(
                f"model.read={read}, but there are {blocks + 1} layers: embeddings and "
                f"model.blocks={blocks}"
            )
        tokens = spec.inputs["tokens"]
        (length,) = tokens.fixed_shape
        if length > positions:
            raise UserError(
                f"texts have up to {length} tokens, and model.positions={positions}; "
                f"expected data.length={positions} or less"
            )
        self.blocks, self.read = blocks, read
        self.bert = Bert(len(tokens.vocabulary), width, heads, blocks, positions, dropout)
        self.norm = nn.BatchNorm1d(read * width, affine=False)
        self.head_dropout = nn.Dropout(head_dropout)
        self.head = nn.Linear(read * width, spec.outputs)

    @property
    def layer_groups(self) -> Layers:
        """Embeddings, each block, and the head."""
        blocks = [(f"bert.encoder.layer.{place}.*",) for place in range(self.blocks)]
        return (("bert.embeddings.*",), *blocks, ("head.*",))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens (B, T) and mask (B, T), true where there is a token, to (B, K)."""
        return self.answer(self.features(tokens, mask))

    def features(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """What is below the head: for each text the mean of its tokens' states, (B, L D).

        tokens (B, T) and mask (B, T); of the layers that are read, the last one stands last.
        """
        texts = Texts.of(mask)
        states = self.bert(tokens, texts)[-self.read :]
        count = texts.mask.sum(1, keepdim=True)
        return torch.cat([texts.padded(x).sum(1) / count for x in states], 1)

    def answer(self, features: Tensor) -> Tensor:
        """(B, L D) to (B, K)."""
        output: Tensor = self.head(self.head_dropout(self.norm(features)))
        return output


class Texts(NamedTuple):
    """Where the tokens of a batch lie: `mask` (B, T) without what is padding in all texts.

    Layers that take each token alone are given (N, D), without padding: of a batch of 64 snippets
    half is padding, and they are nine tenths of the work.
    """

    mask: Tensor
    place: Tensor  # (N, 2): text and position of each token

    @classmethod
    def of(cls, mask: Tensor) -> Texts:
        """Those of a mask (B, T), true where there is a token, of which texts have one at least."""
        mask = mask[:, : int(mask.sum(1).max())]
        return cls(mask, mask.nonzero())

    def packed(self, x: Tensor) -> Tensor:
        """(B, T, ...) to (N, ...)."""
        return x[self.place[:, 0], self.place[:, 1]]

    def padded(self, x: Tensor) -> Tensor:
        """(N, ...) to (B, T, ...), 0 where no token is."""
        whole = x.new_zeros(*self.mask.shape, *x.shape[1:])
        return whole.index_put((self.place[:, 0], self.place[:, 1]), x)


class Bert(nn.Module):
    """Embeddings of tokens and places, then blocks of attention; without its pooling layer."""

    def __init__(
        self, words: int, width: int, heads: int, blocks: int, positions: int, dropout: float
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(words, width, positions, dropout)
        layers = nn.ModuleList(Block(width, heads, dropout) for _ in range(blocks))
        self.encoder = nn.ModuleDict({"layer": layers})

    def forward(self, tokens: Tensor, texts: Texts) -> list[Tensor]:
        """tokens (B, T) to the states (N, D) of each layer."""
        states = [self.embeddings(tokens, texts)]
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for block in layers:
            states.append(block(states[-1], texts))
        return states


class Embeddings(nn.Module):
    """The sum of a token's vector, its place's, and that of the first of two sentences."""

    def __init__(self, words: int, width: int, positions: int, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(positions, width)
        self.token_type_embeddings = nn.Embedding(2, width)  # no task here reads pairs
        for table in (self.word_embeddings, self.position_embeddings, self.token_type_embeddings):
            nn.init.normal_(table.weight, std=0.02)
        self.LayerNorm = nn.LayerNorm(width, eps=_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, texts: Texts) -> Tensor:
        """tokens (B, T) to (N, D)."""
        words = self.word_embeddings(texts.packed(tokens))
        places = self.position_embeddings(texts.place[:, 1])
        x: Tensor = self.LayerNorm(words + places + self.token_type_embeddings.weight[0])
        dropped: Tensor = self.dropout(x)
        return dropped


class Block(nn.Module):
    """Self-attention, then two layers on each token alone; LayerNorm behind each sum."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": Attention(width, heads, dropout), "output": Added(width, width, dropout)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, 4 * width)})
        self.output = Added(4 * width, width, dropout)

    def forward(self, x: Tensor, texts: Texts) -> Tensor:
        """(N, D) to (N, D)."""
        x = self.attention["output"](self.attention["self"](x, texts), x)
        output: Tensor = self.output(F.gelu(self.intermediate["dense"](x)), x)
        return output


class Attention(nn.Module):
    """Each token attends to those of its own text."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, texts: Texts) -> Tensor:
        """(N, D) to (N, D)."""
        batch, longest = texts.mask.shape
        query, key, value = (
            texts.padded(layer(x)).view(batch, longest, self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )  # each (B, H, T, D / H)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=texts.mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return texts.packed(attended.transpose(1, 2).flatten(2))


class Added(nn.Module):
    """A linear layer, added to what a block got, and normalized."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=_EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """x (N, ...) and residual (N, D) to (N, D)."""
        output: Tensor = self.LayerNorm(residual + self.dropout(self.dense(x)))
        return output

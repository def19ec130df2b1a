"""A network of several branches: numbers, texts and images of a sample, and what they say together.

Letters: B batch, F numbers of a row, T tokens, C channels, H height, W width, D width of a
representation, M members, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.cnn import CNN
from goodfit.model.tabm import Embedded, Own, hidden
from goodfit.model.transformer import Transformer
from goodfit.schema import Count, Fraction, ImageEncoder, TextEncoder


class Branches(nn.Module):
    """A branch for each input that the data give, joined late, by an ensemble as that of `TabM`.

    Text and image go through the network that is made for them alone, whose last layer gives K + D
    numbers. K of them are its own vote, which is added to the output: so a label that one input
    tells is learned as fast as by its own network. The D others are a representation, normalised
    (Ba et al. 2016), and stand beside the embedded numbers of the table; of all of these together
    the members learn. On numbers alone it is `TabM`.
    """

    output_form = "members"

    def __init__(
        self,
        spec: DataSpec,
        *,
        members: Count,
        embedding: Count,
        representation: Count,
        width: Count,
        depth: Count,
        dropout: Fraction,
        text: TextEncoder,
        image: ImageEncoder,
    ) -> None:
        super().__init__()
        self.outputs = spec.outputs
        encoded = replace(spec, outputs=spec.outputs + representation)
        sizes: list[int] = []
        if "numbers" in spec.inputs:
            self.columns = Embedded(spec, embedding)
            sizes += self.columns.sizes
        if "tokens" in spec.inputs:
            self.text = Transformer(encoded, **_options(TextEncoder, text))
            self.text_norm = nn.LayerNorm(representation)
            sizes += [1] * representation
        if "image" in spec.inputs:
            self.image = CNN(encoded, **_options(ImageEncoder, image))
            self.image_norm = nn.LayerNorm(representation)
            sizes += [1] * representation
        self.layers = hidden(sizes, members=members, width=width, depth=depth, dropout=dropout)
        self.head = Own(width, spec.outputs, members)

    def forward(
        self,
        numbers: Tensor | None = None,
        tokens: Tensor | None = None,
        mask: Tensor | None = None,
        image: Tensor | None = None,
    ) -> Tensor:
        """Of numbers (B, F), tokens and mask (B, T), image (B, C, H, W): to (B, M, K)."""
        parts: list[Tensor] = []
        votes: list[Tensor] = []
        if numbers is not None:
            parts.append(self.columns.embedded(numbers))
        if tokens is not None:
            said = self.text(tokens, mask)
            votes.append(said[:, : self.outputs])
            parts.append(self.text_norm(said[:, self.outputs :]))
        if image is not None:
            said = self.image(image)
            votes.append(said[:, : self.outputs])
            parts.append(self.image_norm(said[:, self.outputs :]))
        output: Tensor = self.head(self.layers(torch.cat(parts, 1).unsqueeze(1)))
        for vote in votes:
            output = output + vote.unsqueeze(1)
        return output


def _options(kind: type[TextEncoder | ImageEncoder], given: Any) -> Mapping[str, Any]:
    """The options of an encoder, which a configuration gives as a mapping."""
    return kind.model_validate(dict(given)).model_dump()

"""Feed-forward network for tables. Letters: B batch, F numbers of a row, D width, K outputs."""

from __future__ import annotations

from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.blocks import Layers, layers_of
from goodfit.schema import Count, Fraction


class MLP(nn.Module):
    """`depth` hidden layers of `width` units, each with ReLU and dropout.

    With depth 1 it is the classic perceptron of one hidden layer.
    """

    def __init__(self, spec: DataSpec, *, width: Count, depth: Count, dropout: Fraction) -> None:
        super().__init__()
        (features,) = spec.inputs["numbers"].fixed_shape
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout)]
            features = width
        self.layers = nn.Sequential(*layers, nn.Linear(width, spec.outputs))

    @property
    def layer_groups(self) -> Layers:
        """One for each layer with weights, from the input to the head."""
        return layers_of("layers", self.layers)

    def forward(self, numbers: Tensor) -> Tensor:
        """(B, F), standardized, to (B, K)."""
        output: Tensor = self.layers(numbers)
        return output

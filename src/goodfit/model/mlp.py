"""Feed-forward network for tables. Letters: B batch, F numbers of a row, D width, O outputs."""

from __future__ import annotations

from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.schema import Count, Fraction


class MLP(nn.Module):
    """`depth` hidden layers of `width` units with ReLU and dropout; depth 1 is the classic
    perceptron.
    """

    def __init__(self, spec: DataSpec, *, width: Count, depth: Count, dropout: Fraction) -> None:
        super().__init__()
        (features,) = spec.inputs["numbers"].shape
        layers: list[nn.Module] = []
        for place in range(depth):
            layers += [
                nn.Linear(width if place else features, width),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
        self.layers = nn.Sequential(*layers, nn.Linear(width, spec.outputs))

    def forward(self, numbers: Tensor) -> Tensor:
        """(B, F) to (B, O)."""
        output: Tensor = self.layers(numbers)
        return output

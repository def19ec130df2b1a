"""An ensemble of feed-forward networks for tables, which share nearly all of their weights.

Letters: B batch, F numbers of a row, T parts of a number's range, D width, M members, K outputs.
"""

from __future__ import annotations

from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.schema import Count, Fraction

# where standard scores lie, of data that do not say: sixteenths of a normal distribution
_NORMAL = [NormalDist().inv_cdf(part / 16) for part in range(1, 16)]


class Embedded(nn.Module):
    """Codes of a table as they are, and behind them its numbers, each with the vector of `Bends`.

    `sizes` has how many numbers stand for each feature, in that order.
    """

    numbers: Tensor
    codes: Tensor

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__()
        (features,) = spec.inputs["numbers"].fixed_shape
        knots: list[list[float]] = spec.facts.get("knots", [_NORMAL] * features)
        places = [place for place in range(features) if knots[place]]
        codes = [place for place in range(features) if not knots[place]]
        # buffers: a list is made a tensor, and copied to the device, in each step
        self.register_buffer("numbers", torch.tensor(places, dtype=torch.long), persistent=False)
        self.register_buffer("codes", torch.tensor(codes, dtype=torch.long), persistent=False)
        self.sizes = [1] * len(codes) + [1 + width] * len(places)
        if places:
            self.embed = Bends([knots[place] for place in places], width)

    def embedded(self, numbers: Tensor) -> Tensor:
        """(B, F), standardized, to (B, sum of `sizes`)."""
        codes = numbers.index_select(1, self.codes)
        if not len(self.numbers):
            return codes
        embedded = self.embed(numbers.index_select(1, self.numbers))
        return torch.cat([codes, embedded.flatten(1)], 1)


class TabM(Embedded):
    """`members` networks in one forward pass; each learns by its own loss, their mean predicts.

    TabM (Gorishniy et al. 2024, arXiv 2410.24210) is BatchEnsemble (Wen et al. 2020, arXiv
    2002.06715) of feed-forward networks: members share each matrix, and have scales of their own
    for its inputs and outputs. Numbers are embedded before (Gorishniy et al. 2022, arXiv
    2203.05556), where the data say between which values they lie (`facts["knots"]`); codes are
    taken as they are.
    """

    output_form = "members"

    def __init__(
        self,
        spec: DataSpec,
        *,
        members: Count,
        embedding: Count,
        width: Count,
        depth: Count,
        dropout: Fraction,
    ) -> None:
        super().__init__(spec, embedding)
        self.layers = hidden(self.sizes, members=members, width=width, depth=depth, dropout=dropout)
        self.head = Own(width, spec.outputs, members)

    def forward(self, numbers: Tensor) -> Tensor:
        """(B, F), standardized, to (B, M, K)."""
        output: Tensor = self.head(self.layers(self.embedded(numbers).unsqueeze(1)))
        return output


def hidden(
    sizes: list[int], *, members: int, width: int, depth: int, dropout: float
) -> nn.Sequential:
    """Layers for features of `sizes` numbers each, (B, 1, sum of sizes) to (B, M, D)."""
    inputs = sum(sizes)
    layers: list[nn.Module] = []
    for layer in range(depth):
        shared = Shared(inputs, width, members)
        if layer == 0:
            shared.tell_apart(sizes)
        layers += [shared, nn.ReLU(), SharedDropout(dropout)]
        inputs = width
    return nn.Sequential(*layers)


class Bends(nn.Module):
    """Numbers, each with a vector that is linear between `knots`, the quantiles of train.

    Both are level outside: there a number is no more than the largest of train, as for a tree.
    """

    begin: Tensor
    slope: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, knots: list[list[float]], width: int) -> None:
        super().__init__()
        parts = max(map(len, knots)) - 1
        begin, slope = torch.zeros(len(knots), parts), torch.zeros(len(knots), parts)
        for row, of_feature in enumerate(knots):
            ends = torch.tensor(of_feature, dtype=torch.float32)
            begin[row, : len(ends) - 1] = ends[:-1]
            slope[row, : len(ends) - 1] = 1 / ends.diff()
        # made from the spec, so they need not be stored with the weights
        self.register_buffer("begin", begin, persistent=False)
        self.register_buffer("slope", slope, persistent=False)
        ends_of_all = torch.tensor([(ends[0], ends[-1]) for ends in knots])  # (F, 2)
        self.register_buffer("lowest", ends_of_all[:, 0], persistent=False)
        self.register_buffer("highest", ends_of_all[:, 1], persistent=False)
        self.weight = _uniform(parts, len(knots), parts, width)
        self.bias = _uniform(parts, len(knots), width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) to (B, F, 1 + D): the number itself first."""
        x = x.clamp(self.lowest, self.highest).unsqueeze(2)
        passed = ((x - self.begin) * self.slope).clamp(0, 1)  # (B, F, T), shares
        bent = F.relu(torch.einsum("bft,ftd->bfd", passed, self.weight) + self.bias)
        return torch.cat([x, bent], 2)


class Shared(nn.Module):
    """One matrix for all members, of which each scales what it takes and what it gives."""

    def __init__(self, inputs: int, outputs: int, members: int) -> None:
        super().__init__()
        self.weight = _uniform(inputs, outputs, inputs)
        self.bias = _uniform(inputs, members, outputs)
        self.scale_in = nn.Parameter(torch.ones(members, inputs))
        self.scale_out = nn.Parameter(torch.ones(members, outputs))

    def tell_apart(self, sizes: list[int]) -> None:
        """Members begin as different networks: a random scale for each feature, of `sizes` each.

        Else all would learn the same.
        """
        drawn = torch.randn(len(self.scale_in), len(sizes))
        self.scale_in = nn.Parameter(drawn.repeat_interleave(torch.tensor(sizes), 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, M or 1, D) to (B, M, D)."""
        shared = F.linear(x * self.scale_in, self.weight)
        return torch.addcmul(self.bias, shared, self.scale_out)


class SharedDropout(nn.Module):
    """Dropout that leaves out the same units of a sample in all members.

    With a mask for each member, a third of a training step went into drawing them.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, D) to the same shape."""
        if not self.training or self.share == 0:
            return x
        return x * F.dropout(x.new_ones(len(x), 1, x.shape[2]), self.share)


class Own(nn.Module):
    """A matrix for each member."""

    def __init__(self, inputs: int, outputs: int, members: int) -> None:
        super().__init__()
        self.weight = _uniform(inputs, members, inputs, outputs)
        self.bias = _uniform(inputs, members, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, M, D) to (B, M, K)."""
        return torch.einsum("bmd,mdk->bmk", x, self.weight) + self.bias


def _uniform(inputs: int, *shape: int) -> nn.Parameter:
    """Small random numbers, as torch draws those of a linear layer of so many inputs."""
    bound = inputs**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

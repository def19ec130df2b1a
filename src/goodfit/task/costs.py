"""What mistakes about one of two labels cost, and from which probability on it is answered.

Letters: N samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from goodfit.errors import UserError, nearest
from goodfit.metrics import weighted
from goodfit.schema import Costs

_NEVER = 2.0  # above every probability


def check_label(costs: Costs, labels: Sequence[str]) -> int:
    """The number of the label that `costs` are about, among two.

    Raises:
        UserError: there are more than two labels, or it is none of them.
    """
    if costs.label not in labels:
        known = " and ".join(f"'{label}'" for label in labels[:5])
        raise UserError(
            f"task.costs.label='{costs.label}' is no label; there are {known}."
            f"{nearest(costs.label, labels)}"
        )
    if len(labels) != 2:
        raise UserError(
            f"task.costs is about one of two labels, the data have {len(labels)}; set "
            "task.costs=null"
        )
    return list(labels).index(costs.label)


def of_mistakes(answered: Tensor, is_so: Tensor, costs: Costs) -> Tensor:
    """What each sample costs, (N,), where the label is `answered` and where it `is_so`, (N,)."""
    false_positive = (answered & ~is_so).float() * costs.false_positive
    return false_positive + (~answered & is_so).float() * costs.false_negative


def by_probabilities(costs: Costs) -> float:
    """The threshold of probabilities that are right: Elkan 2001, equation 2."""
    return costs.false_positive / (costs.false_positive + costs.false_negative)


def cheapest_threshold(
    probability: Tensor, is_so: Tensor, costs: Costs, weight: Tensor | None = None
) -> float:
    """The threshold whose answers cost the least, of the label's probabilities and truths (N,).

    Halfway between two neighbouring probabilities, a float32. Of several that cost the same, the
    one nearest to what right probabilities would ask for. Samples cost by their weights (N,).
    """
    if weight is not None:
        # between which probabilities a threshold lies is not for what weighs nothing to say
        present = (weight > 0).cpu()
        probability, is_so, weight = probability[present], is_so[present], weight.cpu()[present]
    values, place = torch.unique(probability.float(), return_inverse=True)  # they rise
    so = None if weight is None else weight[is_so]
    positives = weighted.counts(place[is_so], len(values), so).double()
    counts = weighted.counts(place, len(values), weight).double()

    # of thresholds below the first value, between two of them, and above the last one
    missed = torch.cat([positives.new_zeros(1), positives.cumsum(0)])
    spared = torch.cat([positives.new_zeros(1), (counts - positives).cumsum(0)])
    wrongly = spared[-1] - spared
    cost = missed * costs.false_negative + wrongly * costs.false_positive
    thresholds = _between(values)
    best = thresholds[cost <= cost.min() * (1 + 1e-12)]
    return float(best[(best - by_probabilities(costs)).abs().argmin()])


def _between(values: Tensor) -> Tensor:
    """Thresholds (N + 1,) that part rising probabilities (N,): all from the first on, to none."""
    low = torch.cat([-values[:1], values])
    high = torch.cat([values, values.new_full((1,), _NEVER)])
    middle = ((low.double() + high.double()) / 2).float()
    # rounded, the middle of two neighbouring floats may be the lower one, which is not to be in
    return torch.where(middle > low, middle, high)

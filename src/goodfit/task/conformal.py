"""Intervals that hold a share of samples like those of validation (Vovk et al. 2005).

Whatever the network is like: an interval is widened by what its misses on validation are, so it
holds a new sample with the probability that is asked for, on average over samples.

Letters: N samples, G groups of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from goodfit.errors import UserError
from goodfit.metrics import weighted, weighted_arrays
from goodfit.records import Chart

_GROUPS = 5  # of test samples by the size of the prediction


def margin(misses: Tensor, coverage: float, weight: Tensor | None = None) -> float:
    """What to widen an interval by, of how far samples (N,) of validation are outside of it.

    Negative where they are inside. Of N samples the one of rank (N + 1) * coverage, rounded up;
    the last one where there are too few for that. With weights (N,), the first one up to which they
    are that share of the weights of all and of a new one (Tibshirani et al. 2019, lemma 1).
    """
    ordered, order = misses.sort(stable=True)
    if weight is None:
        rank = _rounded_up((len(misses) + 1) * coverage)
        return float(ordered[min(rank, len(misses)) - 1])
    upto = weighted.wide(weight.cpu())[order].cumsum(0)
    one = weighted_arrays.single(weight.cpu().numpy())
    reach = (float(upto[-1]) + one) * coverage
    # 10 * 0.9 is 9 but for a float's last digit; what weighs nothing is never the last one
    least = min(reach, float(upto[-1])) * (1 - 1e-9)
    return float(ordered[int(torch.searchsorted(upto, least))])


def check_samples(samples: int, coverage: float, advice: str) -> None:
    """So many samples of validation can calibrate an interval of this coverage.

    Raises:
        UserError: they are too few.
    """
    fewest = _rounded_up(coverage / (1 - coverage))
    if samples < fewest:
        raise UserError(
            f"validation counts as {samples} samples, an interval that holds {coverage:.4g} of "
            f"all takes {fewest}; {advice}, or give validation more (data.validation)"
        )


def interval_score(low: Tensor, high: Tensor, target: Tensor, coverage: float) -> Tensor:
    """Widths (N,), and for a target outside 2 / (1 - coverage) times how far it is out of it.

    Least for the true quantiles (Gneiting and Raftery 2007, equation 43). Of bounds and targets,
    (N,) each.
    """
    outside = (low - target).clamp_min(0) + (target - high).clamp_min(0)
    return high - low + 2 / (1 - coverage) * outside


def chart(
    prediction: Tensor,
    target: Tensor,
    bounds: Mapping[str, tuple[Tensor, Tensor]],
    coverage: float,
    weight: Tensor | None = None,
) -> Chart:
    """How many targets (N,) lie between bounds (N,), overall and by the size of `prediction` (N,).

    `bounds` has lower and upper ones by a name for a reader. Samples count by their weights (N,).
    """
    groups = prediction.argsort(stable=True).tensor_split(min(_GROUPS, len(prediction)))
    curves, overall = [], []
    for name, (low, high) in bounds.items():
        inside = ((low <= target) & (target <= high)).double()
        shares = [
            float(weighted.mean(inside[rows], None if weight is None else weight[rows]))
            for rows in groups
        ]
        curves.append([name, shares])
        overall.append(f"{float(weighted.mean(inside, weight)):.1%} {name}")
    return Chart(
        "curves",
        f"Coverage of test: {', '.join(overall)}; {coverage:.1%} expected",
        {
            "x": list(range(1, len(groups) + 1)),
            "curves": curves,
            "x_label": "test samples by size of prediction, smallest first",
            "y_label": "share inside the interval",
            "caption": (
                "Validation sets the width, so the share is right on average over all samples; "
                "where the curve falls, large or small predictions are surer than they should be."
            ),
        },
    )


def _rounded_up(number: float) -> int:
    # 0.9 / (1 - 0.9) is 9 but for a float's last digit
    return math.ceil(round(number, 9))

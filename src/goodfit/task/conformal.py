"""Intervals that hold a share of samples like those of validation (Vovk et al. 2005).

Whatever the network is like: an interval is widened by what its misses on validation are, so it
holds a new sample with the probability that is asked for, on average over samples.

What is assumed: validation and what is asked later are exchangeable, unit by unit. Of a series they
are not quite, for time goes on; coverage of test, which is later, shows by how much.

Letters: N samples, G groups of them, T numbers of a sample.
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


def margin(
    misses: Tensor, coverage: float, weight: Tensor | None = None, clusters: Tensor | None = None
) -> float:
    """What to widen an interval by, of how far samples (N,) of validation are outside of it.

    Negative where they are inside. Of N samples the one of rank (N + 1) * coverage, rounded up;
    the last one where there are too few for that. With weights (N,), the first one up to which they
    are that share of the weights of all and of a new one (Tibshirani et al. 2019, lemma 1).

    Samples of one of `clusters` (N,) depend on each other, so that N of them tell as little as
    fewer independent ones: as many as would give the share that is outside the variance that it has
    over clusters (Kish 1965, section 5.3). These stand for N in the rank.
    """
    ordered, order = misses.sort(stable=True)
    told = None if clusters is None else _told(misses, coverage, weight, clusters)
    if weight is None and told is None:
        rank = _rounded_up((len(misses) + 1) * coverage)
        return float(ordered[min(rank, len(misses)) - 1])
    weights = torch.ones(len(misses)) if weight is None else weight.cpu()
    upto = weighted.wide(weights)[order].cumsum(0)
    one = weighted_arrays.single(weights.numpy())
    if told is not None:
        one = max(one, float(upto[-1]) / told)
    reach = (float(upto[-1]) + one) * coverage
    # 10 * 0.9 is 9 but for a float's last digit; what weighs nothing is never the last one
    least = min(reach, float(upto[-1])) * (1 - 1e-9)
    return float(ordered[int(torch.searchsorted(upto, least))])


def _told(misses: Tensor, coverage: float, weight: Tensor | None, clusters: Tensor) -> float | None:
    """How many independent samples tell as much as misses (N,) of `clusters` (N,), at least 1.

    None where each sample is a cluster, where there is one alone, or none is outside.
    """
    _, unit, sizes = torch.unique(clusters.cpu(), return_inverse=True, return_counts=True)
    units = len(sizes)
    if units in (1, len(misses)):
        return None
    by_row = torch.ones(len(misses)) if weight is None else weight.cpu()
    weights = weighted.wide(by_row)
    outside = weighted.wide((misses > margin(misses, coverage, weight)).float())
    share = float((weights * outside).sum() / weights.sum())
    # of a ratio, for clusters differ in size (Kish 1965, section 6.3)
    excess = torch.zeros(units, dtype=weights.dtype)
    excess.index_add_(0, unit, weights * (outside - share))
    variance = float(excess.square().sum()) * units / (units - 1) / float(weights.sum()) ** 2
    return max(share * (1 - share) / variance, 1.0) if variance > 0 else None


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


def chart_of_numbers(
    bounds: tuple[Tensor, Tensor],
    target: Tensor,
    coverage: float,
    weight: Tensor | None = None,
    *,
    x_label: str,
) -> Chart:
    """How many targets (N, T) lie between lower and upper bounds (N, T), by each of T numbers.

    Beside what was promised. Samples count by their weights (N,).
    """
    low, high = bounds
    inside = ((low <= target) & (target <= high)).double()
    shares = [float(weighted.mean(column, weight)) for column in inside.unbind(1)]
    overall = sum(shares) / len(shares)
    return Chart(
        "curves",
        f"Coverage of test: {overall:.1%} by the network; {coverage:.1%} expected",
        {
            "x": list(range(1, len(shares) + 1)),
            "curves": [["by the network", shares], ["expected", [coverage] * len(shares)]],
            "x_label": x_label,
            "y_label": "share inside the interval",
            "caption": (
                "Validation sets each width by itself. It is right on average over samples like "
                "those of validation; test may be harder, or of another time."
            ),
        },
    )


def _rounded_up(number: float) -> int:
    # 0.9 / (1 - 0.9) is 9 but for a float's last digit
    return math.ceil(round(number, 9))

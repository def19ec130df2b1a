"""Scores of expected counts. Letters: N samples."""

from __future__ import annotations

import torch
from torch import Tensor

from goodfit.metrics.weighted import mean

_LEAST = 1e-9  # an expected count of zero would make one event cost infinitely much


def deviance(prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean Poisson deviance () of expected counts (N,) against counts (N,), at least 0.

    Twice the log likelihood that is lost against a prediction that is always right (Nelder and
    Wedderburn 1972); samples count by their weights (N,).
    """
    expected = prediction.double().clamp_min(_LEAST)
    counts = target.double()
    each = torch.xlogy(counts, counts / expected) - (counts - expected)
    # of a right prediction rounding may leave less than nothing
    return 2 * mean(each, weight).clamp_min(0)

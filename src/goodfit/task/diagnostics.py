"""The numbers behind charts of a task's errors: confusion, calibration, residuals, scatter.

Letters: N test samples, K classes, T steps of the horizon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodfit.records import Chart

CALIBRATION_BINS = 10  # at most, and answers in one at least
# test sets of a calibrated network: a thousand, of many answers fewer, so that it takes 0.3 s
_DRAWS, _FEWEST_DRAWS, _DRAWN = 1000, 100, 10**7
_AT_ONCE = 10**6  # answers that are drawn together, 8 MB
HISTOGRAM_BINS = 31
# of a confusion matrix: more cannot be read, and of a thousand classes it would be 100 MB
MOST_CLASSES = 20
MOST_DOTS = 400  # of a scatter plot: more hide each other, and the page grows with them


def confusion(predicted: Tensor, target: Tensor, classes: int, shown: Sequence[int]) -> Tensor:
    """Counts (S, S) of classes predicted (N,) against true (N,); rows are the truth.

    Of the S `shown` among all `classes`: samples of others, and those taken for others, are left
    out.
    """
    place = torch.full((classes,), -1)
    place[list(shown)] = torch.arange(len(shown))
    rows, columns = place[target], place[predicted]
    inside = (rows >= 0) & (columns >= 0)
    # one number for each pair of truth and prediction: a single pass counts all
    pairs = rows[inside] * len(shown) + columns[inside]
    return torch.bincount(pairs, minlength=len(shown) ** 2).reshape(len(shown), -1)


def shown_classes(predicted: Tensor, target: Tensor, classes: int) -> tuple[list[int], str]:
    """The classes that a confusion matrix has room for, and its title.

    Of classes predicted (N,) and true (N,): those in most errors where there are too many of them.
    """
    if classes <= MOST_CLASSES:
        return list(range(classes)), "Confusion matrix"
    wrong = predicted != target
    errors = torch.bincount(torch.cat([predicted[wrong], target[wrong]]), minlength=classes)
    shown = errors.argsort(descending=True, stable=True)[:MOST_CLASSES].sort().values
    title = f"Confusion matrix of the {MOST_CLASSES} classes with most errors, of {classes:,}"
    return shown.tolist(), title


def calibration(
    probability: Tensor, target: Tensor, weight: Tensor | None = None
) -> dict[str, Any]:
    """Confidence against accuracy in bins of equal mass, and the expected calibration error (ECE).

    Of probabilities (M, K) and classes (M,), which count by weights (M,). Answers are ordered by
    the probability of the likeliest class and parted into ten bins of the same weight, fewer where
    one would have less than ten answers; equal probabilities stay together. ECE is the mean
    distance of confidence and accuracy over bins, by their weights (Guo et al. 2017, equation 3;
    of equal mass, Nixon et al. 2019, section 3.3). Never negative, it is above 0 by chance alone:
    `chance` are the 2.5 % and 97.5 % quantiles of what a calibrated network of the same confidences
    would show (Broecker and Smith 2007), answers taken as independent. `told` are answers of equal
    weight that would tell as much as those of a bin (Kish 1965).
    """
    confidence, predicted = (values.cpu() for values in probability.double().max(1))
    right = (predicted == target.cpu()).double()
    weights = torch.ones_like(confidence) if weight is None else weight.cpu().double()
    counts = weights > 0
    confidence, right, weights = confidence[counts], right[counts], weights[counts]
    bins = _equal_mass(confidence, weights)

    mass = torch.bincount(bins, weights)
    mean_confidence = torch.bincount(bins, weights * confidence) / mass
    accuracy = torch.bincount(bins, weights * right) / mass
    return {
        "ece": float((accuracy - mean_confidence).abs() @ mass / mass.sum()),
        "chance": _by_chance(confidence, bins, weights),
        "count": torch.bincount(bins).tolist(),
        "told": (mass.square() / torch.bincount(bins, weights.square())).tolist(),
        "confidence": mean_confidence.tolist(),
        "accuracy": accuracy.tolist(),
    }


def _by_chance(confidence: Tensor, bins: Tensor, weights: Tensor) -> list[float]:
    """The 2.5 % and 97.5 % quantiles of ECE, where answers (M,) are right as they say."""
    generator = torch.Generator().manual_seed(0)
    draws = min(_DRAWS, max(_FEWEST_DRAWS, _DRAWN // len(confidence)))
    at_once = max(1, _AT_ONCE // len(confidence))
    errors = []
    for first in range(0, draws, at_once):
        shape = (min(at_once, draws - first), len(confidence))
        right = torch.rand(shape, generator=generator, dtype=torch.float64) < confidence
        distances = torch.zeros(len(right), int(bins.max()) + 1, dtype=torch.float64)
        distances.index_add_(1, bins, (right.double() - confidence) * weights)
        errors.append(distances.abs().sum(1) / weights.sum())
    quantiles: list[float] = np.quantile(torch.cat(errors), (0.025, 0.975)).tolist()
    return quantiles


def _equal_mass(confidence: Tensor, weights: Tensor) -> Tensor:
    """The bin of each answer (M,), rising and none empty, by its confidence and weight (M,)."""
    most = min(CALIBRATION_BINS, max(1, len(confidence) // CALIBRATION_BINS))
    _, places = torch.unique(confidence, return_inverse=True)
    mass = torch.bincount(places, weights)
    middle = (mass.cumsum(0) - mass / 2) / mass.sum()
    bins = (middle * most).long().clamp(max=most - 1)
    # where many are equal, a bin may have none
    numbered: Tensor = torch.unique(bins[places], return_inverse=True)[1]
    return numbered


def mean_of_equal(prediction: Tensor, deviation: float) -> list[float] | None:
    """The means of the columns of predictions (N, Q) that are all alike; None where they differ.

    Alike are those whose spread is less than a hundredth of the target's `deviation` in train: a
    network that has collapsed still gives other last digits for each sample.
    """
    if float(prediction.std(0, correction=0).max()) >= 0.01 * deviation:
        return None
    means: list[float] = prediction.mean(0).tolist()
    return means


def residuals(prediction: Tensor, target: Tensor) -> Chart:
    """A histogram of prediction minus target, both (N,) or (N, T), with mean and spread.

    `within` maps a share of all errors to the size that so many of them do not exceed.
    """
    errors = (prediction - target).numpy()
    try:
        counts, edges = np.histogram(errors, bins=HISTOGRAM_BINS)
    except ValueError:
        # errors that are equal but for rounding leave no room for the edges of bins in float32
        counts, edges = np.histogram(errors.astype(np.float64), bins=HISTOGRAM_BINS)
    sizes = np.abs(errors)
    within = {str(share): float(np.quantile(sizes, share)) for share in (0.5, 0.9, 0.99)}
    numbers = {
        "counts": counts.tolist(),
        "edges": edges.tolist(),
        "mean": float(errors.mean()),
        "within": within,
    }
    return Chart("residuals", "Sizes of errors", numbers)


def scatter(prediction: Tensor, target: Tensor) -> Chart:
    """Predictions (N,) against targets (N,), of many samples an evenly spaced part."""
    step = math.ceil(len(target) / MOST_DOTS)
    numbers = {
        "prediction": prediction[::step].tolist(),
        "target": target[::step].tolist(),
        "samples": len(target),
    }
    return Chart("scatter", "Prediction and truth", numbers)

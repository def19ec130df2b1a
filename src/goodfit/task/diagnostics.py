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

CALIBRATION_BINS = 10
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


def calibration(probability: Tensor, target: Tensor) -> dict[str, Any]:
    """Confidence against accuracy in ten bins, and the expected calibration error (ECE).

    Of probabilities (N, K) and classes (N,). Bins have equal width; ECE is the mean distance of
    confidence and accuracy over bins, weighted by their samples (Guo et al. 2017, equation 3). Each
    list has a number for each bin, 0 in an empty one.
    """
    confidence, predicted = probability.max(1)
    right = (predicted == target).float()
    # a confidence of exactly 1 belongs to the last bin
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)

    count = torch.bincount(bins, minlength=CALIBRATION_BINS).float()
    divisor = count.clamp(min=1)  # the sums of an empty bin are 0
    mean_confidence = torch.bincount(bins, confidence, minlength=CALIBRATION_BINS) / divisor
    accuracy = torch.bincount(bins, right, minlength=CALIBRATION_BINS) / divisor
    error = ((accuracy - mean_confidence).abs() * count).sum() / count.sum()
    return {
        "ece": float(error),
        "count": count.int().tolist(),
        "confidence": mean_confidence.tolist(),
        "accuracy": accuracy.tolist(),
    }


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

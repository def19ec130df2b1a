"""The numbers behind the pictures of a task's errors: confusion, calibration, residuals.

Letters: N test samples, K classes, T steps of the horizon.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodfit.records import Chart

BINS = 10
MOST_DOTS = 400  # of a scatter plot: more hide each other, and the page grows with them


def confusion(predicted: Tensor, target: Tensor, classes: int) -> Tensor:
    """Counts (K, K) of classes predicted (N,) against true (N,): row is the truth, column the
    prediction.
    """
    pairs = target * classes + predicted
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def calibration(probability: Tensor, target: Tensor) -> dict[str, Any]:
    """Confidence against accuracy in ten bins of equal width, and their mean distance (ECE, Guo et
    al. 2017).

    Of probabilities (N, K) and classes (N,); each list has a number for each bin, 0 in an empty
    one.
    """
    confidence, predicted = probability.max(1)
    right = (predicted == target).float()
    bins = (confidence * BINS).long().clamp(max=BINS - 1)

    count = torch.bincount(bins, minlength=BINS).float()
    mean_confidence = torch.bincount(bins, confidence, minlength=BINS) / count.clamp(min=1)
    accuracy = torch.bincount(bins, right, minlength=BINS) / count.clamp(min=1)
    error = ((accuracy - mean_confidence).abs() * count).sum() / count.sum()
    return {
        "ece": float(error),
        "count": count.int().tolist(),
        "confidence": mean_confidence.tolist(),
        "accuracy": accuracy.tolist(),
    }


def residuals(prediction: Tensor, target: Tensor) -> Chart:
    """A histogram of prediction minus target, both (N,) or (N, T), with its mean and how many lie
    near zero.
    """
    errors = (prediction - target).numpy()
    counts, edges = np.histogram(errors, bins=31)
    within = {str(share): float(np.quantile(np.abs(errors), share)) for share in (0.5, 0.9, 0.99)}
    numbers = {
        "counts": counts.tolist(),
        "edges": edges.tolist(),
        "mean": float(errors.mean()),
        "within": within,
    }
    return Chart("residuals", "Sizes of errors", numbers)


def scatter(prediction: Tensor, target: Tensor) -> Chart:
    """Predictions (N,) against targets (N,), an evenly spaced part of them where there are many."""
    step = -(-len(target) // MOST_DOTS)
    numbers = {
        "prediction": prediction[::step].tolist(),
        "target": target[::step].tolist(),
        "samples": len(target),
    }
    return Chart("scatter", "Prediction and truth", numbers)

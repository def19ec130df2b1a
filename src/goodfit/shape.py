"""Where a model errs: confusion and calibration of classes, residuals of numbers and series."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from goodfit.contract import DataSpec

BINS = 10


def shape(spec: DataSpec, prediction: Tensor, target: Tensor) -> dict[str, Any]:
    """The picture of the errors for this kind of target, ready for JSON."""
    if spec.kind == "class":
        return {
            "confusion": confusion(prediction.argmax(1), target, spec.outputs).tolist(),
            "labels": list(spec.labels),
            "calibration": calibration(prediction, target),
        }
    residuals = (prediction - target).numpy()
    counts, edges = np.histogram(residuals, bins=31)
    result = {
        "residuals": {"counts": counts.tolist(), "edges": edges.tolist(), "mean": float(residuals.mean())},
        "within": {str(share): float(np.quantile(np.abs(residuals), share)) for share in (0.5, 0.9, 0.99)},
    }
    if spec.kind == "series":
        result["mae_by_step"] = np.abs(residuals).mean(0).tolist()
    return result


def confusion(predicted: Tensor, target: Tensor, classes: int) -> Tensor:
    """Counts, (K, K): row is the truth, column the prediction."""
    return torch.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)


def calibration(probability: Tensor, target: Tensor) -> dict[str, Any]:
    """Confidence against accuracy in ten bins of equal width, and their mean distance (ECE, Guo et al. 2017)."""
    confidence, predicted = probability.max(1)
    right = (predicted == target).float()
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    count = torch.bincount(place, minlength=BINS).float()
    mean_confidence = torch.bincount(place, confidence, minlength=BINS) / count.clamp(min=1)
    accuracy = torch.bincount(place, right, minlength=BINS) / count.clamp(min=1)
    error = float(((accuracy - mean_confidence).abs() * count).sum() / count.sum())
    return {
        "ece": error,
        "count": count.int().tolist(),
        "confidence": mean_confidence.tolist(),
        "accuracy": accuracy.tolist(),
    }

"""Support vector machine on pixels: the classical method that was best on digits before networks."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.svm import SVC

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.contract import DataSpec

PENALTIES = (1.0, 5.0, 25.0)


class SupportVectors(Baseline):
    """Gaussian kernel; the penalty is the one with the best accuracy on validation.

    Probabilities are the softmax of the decision values: right for accuracy, rough for log loss.
    """

    kinds = ("class",)
    inputs = ("image",)
    title = "support vector machine"

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Probabilities, (B, K)."""
        pixels = [_pixels(split) for split in (train, validation, test)]
        models = [SVC(C=penalty).fit(pixels[0], train.target) for penalty in PENALTIES]
        best = models[int(np.argmax([model.score(pixels[1], validation.target) for model in models]))]
        values = best.decision_function(pixels[2])
        if values.ndim == 1:  # two classes: one value, positive for the second
            values = np.stack([-values, values], 1)
        probabilities: Array = softmax(values, axis=1)
        return probabilities


def _pixels(split: Split) -> Array:
    return split.inputs["image"].reshape(len(split.target), -1) / np.float32(255)

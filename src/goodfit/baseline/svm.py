"""Support vector machine on pixels: the best method on digits before networks.

Letters: `base.py`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.svm import SVC

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec

PENALTIES = (1.0, 5.0, 25.0)


class SupportVectors(Baseline):
    """Gaussian kernel; the penalty is the one with the best accuracy on validation.

    Probabilities are the softmax of the decision values: right for accuracy, rough for log loss.
    """

    kinds = ("class",)
    inputs = ("image",)
    title = "support vector machine"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A machine for each penalty, on images (N, C, H, W); the best one is kept."""
        models = [
            SVC(C=penalty).fit(_pixels(train), train.targets["target"]) for penalty in PENALTIES
        ]
        accuracies = [
            model.score(_pixels(validation), validation.targets["target"]) for model in models
        ]
        self._model = models[int(np.argmax(accuracies))]

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        values = self._model.decision_function(_pixels(samples))
        if values.ndim == 1:  # two classes: one value, positive for the second
            values = np.stack([-values, values], 1)
        probabilities: Array = softmax(values, axis=1)
        return probabilities


def _pixels(samples: Samples) -> Array:
    """Images as rows of grey values from 0 to 1, (N, CHW)."""
    images: Array = samples.inputs["image"]
    return images.reshape(len(samples), -1) / np.float32(255)

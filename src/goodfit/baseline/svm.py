"""Support vector machine on pixels: the best method on digits before networks.

Letters: `base.py`, and F numbers of an image.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.svm import SVC

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, Weights
from goodfit.contract import DataSpec

PENALTIES = (1.0, 5.0, 25.0)


class SupportVectors(Baseline):
    """Gaussian kernel; the penalty is the one with the best accuracy on validation.

    Probabilities are the softmax of the decision values: right for accuracy, rough for log loss.
    """

    kinds = ("class",)
    inputs = ("image",)
    title = "support vector machine"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A machine for each penalty, on images (N, C, H, W); the best one is kept."""
        x, held_out = _pixels(train), _pixels(validation)
        self._model = best_machine(
            x,
            train.targets["target"],
            held_out,
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        return probabilities(self._model, _pixels(samples))


def best_machine(
    train: Array,
    train_target: Array,
    validation: Array,
    validation_target: Array,
    *,
    weights: Weights = (None, None),
) -> SVC:
    """The machine of `PENALTIES` with the best accuracy on validation.

    Features are (N, F), targets (N,), the class of each; `weights` those of samples of train (N,)
    and of validation (M,), if there are any.
    """
    of_train, of_validation = weights
    models = [SVC(C=penalty).fit(train, train_target, of_train) for penalty in PENALTIES]
    accuracies = [model.score(validation, validation_target, of_validation) for model in models]
    return models[int(np.argmax(accuracies))]


def probabilities(model: SVC, features: Array) -> Array:
    """The softmax (N, K) of a machine's decision values, of features (N, F)."""
    values = model.decision_function(features)
    if values.ndim == 1:  # two classes: one value, positive for the second
        values = np.stack([-values, values], 1)
    shares: Array = softmax(values, axis=1)
    return shares


def _pixels(samples: Samples) -> Array:
    """Images as rows of grey values from 0 to 1, (N, CHW)."""
    images: Array = samples.inputs["image"]
    return images.reshape(len(samples), -1) / np.float32(255)

"""Support vector machine on gradients: knows strokes and edges where that on pixels knows places.

Letters: `base.py`, and F numbers of an image.
"""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.gradients import CELL, cells
from goodfit.baseline.svm import best_machine, probabilities
from goodfit.contract import DataSpec

COMPONENTS = 100  # of mnist's 1,813 numbers of an image: as right, in a tenth of the time


class Hog(Baseline):
    """Histograms of oriented gradients, their principal components, and a Gaussian kernel.

    The penalty is the one with the best accuracy on validation.
    """

    kinds = ("class",)
    inputs = ("image",)
    title = "HOG + support vector machine"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Components, to which images count alike, and machines of train's images (N, C, H, W)."""
        x = histograms(train)
        self._components = PCA(min(COMPONENTS, *x.shape), random_state=0)
        self._model = best_machine(
            self._components.fit_transform(x),
            train.targets["target"],
            self._components.transform(histograms(validation)),
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        return probabilities(self._model, self._components.transform(histograms(samples)))


def histograms(samples: Samples) -> Array:
    """The histograms and colours of all cells of each image (N, C, H, W), (N, F)."""
    images: Array = samples.inputs["image"]
    # to whole cells: the rest at the right and the bottom would be left out
    room = [(0, -size % CELL) for size in images.shape[2:]]
    padded = np.pad(images, [(0, 0), (0, 0), *room], mode="edge")
    return np.stack([cells(image.transpose(1, 2, 0)).ravel() for image in padded])


def scaled_components(histograms: Array) -> Pipeline:
    """What makes principal components of standardised histograms, to be fitted to these (N, F)."""
    components = PCA(min(COMPONENTS, *histograms.shape), random_state=0)
    # scaled before: of few images, the last components have no variance to divide by
    return make_pipeline(StandardScaler(), components)

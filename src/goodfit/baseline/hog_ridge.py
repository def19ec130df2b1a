"""Ridge regression on gradients: a number that strokes and edges of an image tell.

Letters: `base.py`, and F numbers of an image.
"""

from __future__ import annotations

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.hog import histograms, scaled_components
from goodfit.baseline.ridge import best_ridge
from goodfit.contract import DataSpec


class HogRidge(Baseline):
    """Standardised histograms of oriented gradients, and their principal components.

    The penalty is the one with the least squared error on validation.
    """

    kinds = ("number",)
    inputs = ("image",)
    title = "HOG + ridge regression"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Components, to which images count alike, and models of train's images (N, C, H, W)."""
        x = histograms(train)
        self._features = scaled_components(x)
        self._model = best_ridge(
            self._features.fit_transform(x),
            train.targets["target"],
            self._features.transform(histograms(validation)),
            validation.targets["target"],
            weights=(train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Numbers in the unit of the target, (N,)."""
        values: Array = self._model.predict(self._features.transform(histograms(samples)))
        return values

"""Logistic regression on the mean spectrum of a sound: what voice and microphone alone tell.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.preprocessing import StandardScaler

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.logistic import best_logistic
from goodfit.baseline.spectra import mean_spectra
from goodfit.contract import DataSpec


class MeanSpectrum(Baseline):
    """It hears no word: all that comes one after the other is added up."""

    kinds = ("class",)
    inputs = ("audio",)
    title = "mean spectrum + logistic regression"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on sounds (N, L); the best one is kept."""
        self._rate = int(spec.facts["rate"])
        self._scaler = StandardScaler().fit(mean_spectra(train.inputs["audio"], self._rate))
        self._model = best_logistic(
            self._features(train),
            train.targets["target"],
            self._features(validation),
            validation.targets["target"],
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        probabilities: Array = self._model.predict_proba(self._features(samples))
        return probabilities

    def _features(self, samples: Samples) -> Array:
        """Standardised numbers (N, F)."""
        scaled: Array = self._scaler.transform(mean_spectra(samples.inputs["audio"], self._rate))
        return scaled

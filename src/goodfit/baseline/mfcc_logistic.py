"""Logistic regression on statistics of the cepstrum: what speech was told by before networks.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.preprocessing import StandardScaler

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.logistic import best_logistic
from goodfit.baseline.spectra import cepstra
from goodfit.contract import DataSpec


class MfccLogistic(Baseline):
    """Mean, deviation and change of each coefficient; the penalty is chosen on validation."""

    kinds = ("class",)
    inputs = ("audio",)
    title = "MFCC statistics + logistic regression"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A model for each penalty, on sounds (N, L); the best one is kept."""
        self._rate = int(spec.facts["rate"])
        self._scaler = StandardScaler().fit(cepstra(train.inputs["audio"], self._rate))
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
        scaled: Array = self._scaler.transform(cepstra(samples.inputs["audio"], self._rate))
        return scaled

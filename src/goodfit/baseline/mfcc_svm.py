"""Support vector machine on statistics of the cepstrum: strong where sounds are few.

Letters: `base.py`.
"""

from __future__ import annotations

from sklearn.preprocessing import StandardScaler

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.spectra import cepstra
from goodfit.baseline.svm import best_machine, probabilities
from goodfit.contract import DataSpec


class MfccSvm(Baseline):
    """Mean, deviation and change of each coefficient; the penalty is chosen on validation."""

    kinds = ("class",)
    inputs = ("audio",)
    title = "MFCC statistics + support vector machine"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A machine for each penalty, on sounds (N, L); the best one is kept."""
        self._rate = int(spec.facts["rate"])
        self._scaler = StandardScaler().fit(cepstra(train.inputs["audio"], self._rate))
        self._model = best_machine(
            self._features(train),
            train.targets["target"],
            self._features(validation),
            validation.targets["target"],
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        return probabilities(self._model, self._features(samples))

    def _features(self, samples: Samples) -> Array:
        """Standardised numbers (N, F)."""
        scaled: Array = self._scaler.transform(cepstra(samples.inputs["audio"], self._rate))
        return scaled

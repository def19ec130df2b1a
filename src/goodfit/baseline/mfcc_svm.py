"""Support vector machine on statistics of the cepstrum: strong where sounds are few.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

from goodfit.baseline.base import Array, Samples, Weights
from goodfit.baseline.spectra import OnWholeSounds, cepstra
from goodfit.baseline.svm import best_machine, probabilities


class MfccSvm(OnWholeSounds):
    """Mean, deviation and change of each coefficient; the penalty is chosen on validation."""

    title = "MFCC statistics + support vector machine"

    def describe(self, audio: Array, rate: int) -> Array:
        """See `cepstra`: (N, F) of sounds (N, L)."""
        return cepstra(audio, rate)

    def choose(self, x: Array, y: Array, held_out: Array, truth: Array, weights: Weights) -> Any:
        """By the penalty that is best on those held out, (M, F) and (M,)."""
        return best_machine(x, y, held_out, truth, weights=weights)

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        return probabilities(self._model, self._features(samples))

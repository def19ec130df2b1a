"""Ridge regression on statistics of the cepstrum: a number that a sound's timbre tells.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

from goodfit.baseline.base import Array, Samples, Weights
from goodfit.baseline.ridge import best_ridge
from goodfit.baseline.spectra import OnWholeSounds, cepstra


class MfccRidge(OnWholeSounds):
    """Mean, deviation and change of each coefficient; the penalty is chosen on validation."""

    kinds = ("number",)
    title = "MFCC statistics + ridge regression"

    def describe(self, audio: Array, rate: int) -> Array:
        """See `cepstra`: (N, F) of sounds (N, L)."""
        return cepstra(audio, rate)

    def choose(self, x: Array, y: Array, held_out: Array, truth: Array, weights: Weights) -> Any:
        """By the penalty that is best on those held out, (M, F) and (M,)."""
        return best_ridge(x, y, held_out, truth, weights=weights)

    def predict(self, samples: Samples) -> Array:
        """Numbers in the unit of the target, (N,)."""
        values: Array = self._model.predict(self._features(samples))
        return values

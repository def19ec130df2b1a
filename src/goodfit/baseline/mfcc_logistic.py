"""Logistic regression on statistics of the cepstrum: what speech was told by before networks.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

from goodfit.baseline.base import Array, Weights
from goodfit.baseline.logistic import best_logistic
from goodfit.baseline.spectra import OnWholeSounds, cepstra


class MfccLogistic(OnWholeSounds):
    """Mean, deviation and change of each coefficient; the penalty is chosen on validation."""

    title = "MFCC statistics + logistic regression"

    def describe(self, audio: Array, rate: int) -> Array:
        """See `cepstra`: (N, F) of sounds (N, L)."""
        return cepstra(audio, rate)

    def choose(self, x: Array, y: Array, held_out: Array, truth: Array, weights: Weights) -> Any:
        """By the penalty that is best on those held out, (M, F) and (M,)."""
        return best_logistic(x, y, held_out, truth, weights=weights)

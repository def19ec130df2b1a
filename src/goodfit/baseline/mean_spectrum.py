"""Logistic regression on the mean spectrum of a sound: what voice and microphone alone tell.

Letters: `base.py`.
"""

from __future__ import annotations

from typing import Any

from goodfit.baseline.base import Array, Weights
from goodfit.baseline.logistic import best_logistic
from goodfit.baseline.spectra import OnWholeSounds, mean_spectra


class MeanSpectrum(OnWholeSounds):
    """It hears no word: all that comes one after the other is added up."""

    title = "mean spectrum + logistic regression"

    def describe(self, audio: Array, rate: int) -> Array:
        """See `mean_spectra`: (N, F) of sounds (N, L)."""
        return mean_spectra(audio, rate)

    def choose(self, x: Array, y: Array, held_out: Array, truth: Array, weights: Weights) -> Any:
        """By the penalty that is best on those held out, (M, F) and (M,)."""
        return best_logistic(x, y, held_out, truth, weights=weights)

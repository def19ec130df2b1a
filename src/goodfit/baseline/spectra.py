"""A few numbers of a whole sound: its mean spectrum, and statistics of its cepstrum.

Letters: `base.py`; L samples of a sound, T frames, M bands, Q coefficients.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from scipy.fft import dct
from sklearn.preprocessing import StandardScaler

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples, Weights
from goodfit.contract import DataSpec
from goodfit.system.mel import QUIETEST, mel_bank

BANDS, WINDOW = 40, 0.032  # seconds of a frame
COEFFICIENTS = 20
_LOUDEST = 32768.0  # of 16 bits


def mean_spectra(audio: Array, rate: int) -> Array:
    """Mean and deviation of each band over each sound (N, L), (N, 2M): what comes when is lost."""
    rows = []
    for bands in _log_bands(audio, rate):
        rows.append(np.concatenate([bands.mean(0), bands.std(0)]))
    return np.array(rows, np.float32)


def cepstra(audio: Array, rate: int) -> Array:
    """Statistics (N, 3Q) of the first coefficients of the cepstrum of each sound (N, L).

    Mean, deviation and mean change from frame to frame (MFCC; Davis and Mermelstein 1980).
    """
    rows = []
    for bands in _log_bands(audio, rate):
        mfcc = dct(bands, axis=1, norm="ortho")[:, :COEFFICIENTS]  # (T, Q)
        change = np.abs(np.diff(mfcc, axis=0, prepend=mfcc[:1])).mean(0)
        rows.append(np.concatenate([mfcc.mean(0), mfcc.std(0), change]))
    return np.array(rows, np.float32)


def _log_bands(audio: Array, rate: int) -> list[Array]:
    """The bands (T, M) of each sound (N, L) up to its end, behind which there are zeros."""
    size = max(round(rate * WINDOW), 2)
    bank, window = mel_bank(rate, size, BANDS), np.hanning(size + 1)[:-1].astype(np.float32)
    found = []
    for sound in audio:
        end = max(int(np.flatnonzero(sound)[-1]) + 1 if sound.any() else 0, size)
        kept = np.zeros(end, np.float32)
        kept[: len(sound[:end])] = sound[:end] / _LOUDEST
        frames = np.lib.stride_tricks.sliding_window_view(kept, size)[:: size // 2]
        power = np.abs(np.fft.rfft(frames * window)) ** 2 / size
        found.append(np.log(power @ bank + QUIETEST))
    return found


class OnWholeSounds(Baseline):
    """A classifier, or a regression, on standardised numbers of each whole sound, (N, F)."""

    kinds: ClassVar[tuple[str, ...]] = ("class",)
    inputs = ("audio",)
    weighs = True

    @abstractmethod
    def describe(self, audio: Array, rate: int) -> Array:
        """The numbers (N, F) of sounds (N, L)."""

    @abstractmethod
    def choose(self, x: Array, y: Array, held_out: Array, truth: Array, weights: Weights) -> Any:
        """The classifier of x (N, F) and y (N,) that is best on those held out, (M, F) and (M,).

        By the weights of both, if there are any.
        """

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """A classifier for each penalty, on sounds (N, L); the best one is kept."""
        self._rate = int(spec.facts["rate"])
        self._scaler = StandardScaler().fit(self.describe(train.inputs["audio"], self._rate))
        self._model = self.choose(
            self._features(train),
            train.targets["target"],
            self._features(validation),
            validation.targets["target"],
            (train.sample_weight, validation.sample_weight),
        )

    def predict(self, samples: Samples) -> Array:
        """Probabilities, (N, K)."""
        probabilities: Array = self._model.predict_proba(self._features(samples))
        return probabilities

    def _features(self, samples: Samples) -> Array:
        """Standardised numbers (N, F)."""
        numbers = self.describe(samples.inputs["audio"], self._rate)
        scaled: Array = self._scaler.transform(numbers)
        return scaled

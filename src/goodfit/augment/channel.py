"""Other voices, other lines: each sound of a batch is spoken higher or lower, and heard otherwise.

Letters: B batch, L samples of a sound, F frequencies, P points of a curve.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.schema import Amount, Fraction

POINTS = 8  # of the curve of a line: about an octave of speech between two


class Channel(Augment):
    """Pitch and speed by up to `pitch`, loudness of each frequency by up to `line` decibels.

    Both are uniform between minus and plus their limit; the curve of a line is drawn at eight
    points, and straight between them. Noise of up to `noise` times the sound's level is added.
    """

    inputs = ("audio",)

    def __init__(self, *, pitch: Fraction, line: Amount, noise: Fraction) -> None:
        self.pitch, self.line, self.noise = pitch, line, noise

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Sounds (B, L) in 16 bits, or float32, to float32; zero behind the end, as before."""
        audio = batch.inputs["audio"].float()
        uniform = numbers(POINTS + 2) * 2 - 1
        audio, end = self._faster(audio, 1 + self.pitch * uniform[:, 0])
        audio = self._filtered(audio, self.line * uniform[:, 2:])
        level = audio.square().sum(1, keepdim=True).div(end[:, None].clamp(min=1)).sqrt()
        share = self.noise * (uniform[:, 1:2] + 1) / 2
        hiss = (numbers(audio.shape[1]) * 2 - 1) * 3**0.5  # of deviation 1
        audio = audio + level * share * hiss
        inside = torch.arange(audio.shape[1], device=audio.device) < end[:, None]
        return batch._replace(inputs={**batch.inputs, "audio": audio * inside})

    def _faster(self, audio: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
        """Sounds (B, L) read at `speed` (B,), linear between samples; where each ends, (B,)."""
        length = audio.shape[1]
        place = torch.arange(length, device=audio.device) * speed[:, None]  # (B, L)
        # from -1 to 1 at the middles of the first and the last sample; zeros beyond
        across = 2 * place / max(length - 1, 1) - 1
        grid = torch.stack([across, torch.zeros_like(across)], -1)[:, None]  # (B, 1, L, 2)
        read = F.grid_sample(audio[:, None, None], grid, align_corners=True)[:, 0, 0]
        index = torch.arange(1, length + 1, device=audio.device)
        end = ((audio != 0) * index).amax(1)
        return read, (end / speed).clamp(max=length).floor()

    def _filtered(self, audio: Tensor, decibels: Tensor) -> Tensor:
        """Sounds (B, L) with a gain at each frequency, of curves (B, P)."""
        spectrum = torch.fft.rfft(audio)
        curve = F.interpolate(
            decibels[:, None], size=spectrum.shape[1], mode="linear", align_corners=True
        )[:, 0]
        filtered: Tensor = torch.fft.irfft(spectrum * 10 ** (curve / 20), n=audio.shape[1])
        return filtered

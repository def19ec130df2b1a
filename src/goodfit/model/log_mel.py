"""Sounds as the ear hears them: loudness by time and pitch, computed where the network runs.

Letters: B batch, L samples of a sound, T frames, F frequencies of a frame, M bands.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from goodfit.system.mel import QUIETEST, mel_bank

Normalize = Literal["none", "mean"]
_LOUDEST = 32768.0  # of 16 bits


class LogMel(nn.Module):
    """Logarithms of the power in bands of equal width on the mel scale (Davis, Mermelstein 1980).

    Frames of `window` seconds, half of it apart, are weighted by Hann's window. A frame of zeros is
    what follows the end of a sound: it is no part of it. `normalize="mean"` takes from each band
    its mean over the sound, and with it what a microphone or a line does to all sounds alike
    (cepstral mean subtraction, Atal 1974).

    In training, a stretch of up to `mask_bands` of the bands and one of up to `mask_frames` of the
    sound's frames take the mean of the sound (SpecAugment, Park et al. 2019, arXiv 1904.08779). Its
    width is uniform between none and that share, then its place is. As a share of the sound's own
    length the limit suits short and long ones (Park et al. 2020, arXiv 1912.05533).
    """

    bank: Tensor
    window: Tensor

    def __init__(
        self,
        rate: int,
        *,
        bands: int,
        window: float,
        normalize: Normalize,
        mask_bands: float,
        mask_frames: float,
    ) -> None:
        super().__init__()
        self.mask_bands, self.mask_frames = mask_bands, mask_frames
        self.size = max(round(rate * window), 2)
        self.normalize = normalize
        # made of what the configuration says: no part of the weights
        self.register_buffer(
            "bank", torch.from_numpy(mel_bank(rate, self.size, bands)), persistent=False
        )
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) in 16 bits to bands (B, M, T), zero behind the end, and a mask (B, T)."""
        sound = audio.float() / _LOUDEST
        sound = nn.functional.pad(sound, (0, max(self.size - sound.shape[1], 0)))
        frames = sound.unfold(1, self.size, self.size // 2)  # (B, T, size)
        power = torch.fft.rfft(frames * self.window).abs().square() / self.size
        bands = (power @ self.bank + QUIETEST).log().transpose(1, 2)
        # the first frame counts always: a sound of zeros has one, too
        mask = (frames != 0).any(2)
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], 1)
        use = mask[:, None].to(bands.dtype)
        if self.normalize == "mean":
            bands = bands - (bands * use).sum(2, keepdim=True) / use.sum(2, keepdim=True)
        bands = bands * use
        if self.training and (self.mask_bands or self.mask_frames):
            bands = self._hidden(bands, use)
        return bands, mask

    def _hidden(self, bands: Tensor, use: Tensor) -> Tensor:
        """Bands (B, M, T) with stretches hidden; `use` (B, 1, T) is 1 inside of the sound."""
        count = torch.full_like(use[:, 0, 0], bands.shape[1])
        in_bands = stretch(count, self.mask_bands, bands.shape[1])
        in_frames = stretch(use.sum((1, 2)), self.mask_frames, bands.shape[2])
        is_hidden = in_bands[:, :, None] | in_frames[:, None]
        mean = bands.sum((1, 2), keepdim=True) / (use.sum((1, 2), keepdim=True) * bands.shape[1])
        return torch.where(is_hidden, mean * use, bands)


def stretch(lengths: Tensor, share: float, size: int) -> Tensor:
    """Places (B, size), true in one stretch inside the first `lengths` (B,) of them.

    It has from 0 to `share` of that length, rounded down, each width as likely as any other.
    """
    width = (torch.rand_like(lengths) * ((share * lengths).floor() + 1)).floor()
    begin = (torch.rand_like(lengths) * (lengths - width + 1)).floor()
    place = torch.arange(size, device=lengths.device)
    return (place >= begin[:, None]) & (place < (begin + width)[:, None])


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """The mean (B, D) of values (B, D, T) where the mask (B, T) is true."""
    use = mask[:, None].to(values.dtype)
    return (values * use).sum(2) / use.sum(2).clamp(min=1)

"""Recurrent network for sounds.

Letters: B batch, L samples of a sound, M bands, T frames, D width, K outputs.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.log_mel import LogMel, mean_over
from goodfit.schema import Count, Fraction, Rate


class SoundRNN(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) hears the frames in both directions.

    The mean of its states over the frames of the sound decides.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        bands: Count,
        window: Rate,
        normalize: Literal["none", "mean"],
        mask_bands: Fraction,
        mask_frames: Fraction,
        width: Count,
        dropout: Fraction,
    ) -> None:
        super().__init__()
        self.bands = LogMel(
            spec.facts["rate"],
            bands=bands,
            window=window,
            normalize=normalize,
            mask_bands=mask_bands,
            mask_frames=mask_frames,
        )
        self.scale = nn.BatchNorm1d(bands)
        self.reader = nn.GRU(bands, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, spec.outputs)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, L) in 16 bits to (B, K)."""
        bands, mask = self.bands(audio)
        states, _ = self.reader(self.dropout(self.scale(bands).transpose(1, 2)))  # (B, T, 2 D)
        output: Tensor = self.head(self.dropout(mean_over(states.transpose(1, 2), mask)))
        return output

"""Convolutional network for sounds.

Letters: B batch, L samples of a sound, M bands, T frames, D channels, K outputs.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.log_mel import LogMel, mean_over
from goodfit.schema import Count, Fraction, Rate


class SoundCNN(nn.Module):
    """Stages of two 3 x 3 convolutions on bands and frames, each twice as wide, at half of both.

    The mean over the bands, and mean and maximum over the frames of the sound, decide.
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
        stages: Count,
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
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        channels = 1
        for stage in range(stages):
            out_channels = width * 2**stage
            for before in (channels, out_channels):
                layers.append(nn.Conv2d(before, out_channels, 3, padding=1, bias=False))
                layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            channels = out_channels
        self.features = nn.Sequential(*layers)
        self.halvings = stages
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels, spec.outputs)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, L) in 16 bits to (B, K)."""
        bands, mask = self.bands(audio)
        maps = self.features(bands[:, None]).mean(2)  # (B, D, T / 2^stages)
        for _ in range(self.halvings):
            mask = nn.functional.pad(mask, (0, mask.shape[1] % 2)).view(len(mask), -1, 2).any(2)
        # ReLU gives nothing below zero: what is masked is never the maximum of a sound
        loudest = (maps * mask[:, None]).amax(2)
        pooled = torch.cat([mean_over(maps, mask), loudest], 1)
        output: Tensor = self.head(self.dropout(pooled))
        return output

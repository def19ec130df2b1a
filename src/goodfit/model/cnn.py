"""Convolutional network for images. Letters: B batch, C channels, H height, W width, K outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.blocks import Layers, Standardize, layers_of
from goodfit.schema import Count, Fraction


class CNN(nn.Module):
    """Stages of 3 x 3 convolutions, each twice as wide as the one before at half the resolution.

    Each convolution has BatchNorm and ReLU after it. All stages but the last have two and end in
    max-pooling (plain blocks as in VGG, Simonyan and Zisserman 2015). The last has one, and is
    pooled by mean and maximum over the whole image, so any size of image that survives the halvings
    will do.
    """

    def __init__(self, spec: DataSpec, *, width: Count, stages: Count, dropout: Fraction) -> None:
        super().__init__()
        channels = spec.inputs["image"].fixed_shape[0]
        self.scale = Standardize(spec.inputs["image"])
        layers: list[nn.Module] = []
        for stage in range(stages):
            out_channels = width * 2**stage
            layers += _convolution(channels, out_channels)
            if stage < stages - 1:
                layers += _convolution(out_channels, out_channels)
                layers.append(nn.MaxPool2d(2))
            channels = out_channels

        # channels last in memory: 1.8 times as fast on a CPU with oneDNN
        self.features = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels, spec.outputs)

    @property
    def layer_groups(self) -> Layers:
        """One for each convolution with its BatchNorm, and the head."""
        return (*layers_of("features", self.features), ("head.*",))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of any number type to (B, K)."""
        scaled = self.scale(image).contiguous(memory_format=torch.channels_last)
        maps = self.features(scaled)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        output: Tensor = self.head(self.dropout(pooled))
        return output


def _convolution(channels: int, out_channels: int) -> list[nn.Module]:
    return [
        # no bias: BatchNorm would take it away again with the mean
        nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]

"""Detector without anchors: each object is a point with a size (Zhou et al. 2019, CenterNet).

Letters: B batch, C channels, H height, W width, O numbers of a cell, F features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.blocks import Standardize
from goodfit.model.pyramid import Pyramid, convolution
from goodfit.schema import Count


class CenterNet(nn.Module):
    """A small encoder and decoder with skips, trained from scratch.

    Each stage halves the resolution and doubles the features (residual blocks, He et al. 2016); on
    the way back `Pyramid` adds the maps up, down to a quarter of the resolution.
    """

    output_form = "map"

    def __init__(self, spec: DataSpec, *, width: Count, stages: Count, blocks: Count) -> None:
        super().__init__()
        image = spec.inputs["image"]
        self.scale = Standardize(image)
        # two halvings in the stem: what follows has a sixteenth of the pixels
        stem = [
            convolution(image.shape[0] or 0, width // 2, step=2),
            convolution(width // 2, width, step=2),
        ]
        self.stem = nn.Sequential(*stem)

        widths = [width * 2**stage for stage in range(stages)]
        self.down = nn.ModuleList()
        features = width
        for stage, out_features in enumerate(widths):
            layers: list[nn.Module] = []
            if stage:
                layers.append(convolution(features, out_features, step=2))
            layers += [_Residual(out_features) for _ in range(blocks)]
            self.down.append(nn.Sequential(*layers))
            features = out_features

        self.decoder = Pyramid(widths, outputs=spec.outputs, classes=len(spec.labels))
        # channels last in memory: faster on a CPU with oneDNN, as in the CNN
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of any number type to (B, O, H / 4, W / 4)."""
        x = self.scale(image).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        levels = []
        for stage in self.down:
            x = stage(x)
            levels.append(x)

        output: Tensor = self.decoder(levels)
        return output


class _Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = convolution(features, features)
        self.second = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, bias=False), nn.BatchNorm2d(features)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to the same."""
        return F.relu(x + self.second(self.first(x)))

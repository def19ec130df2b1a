"""Detector without anchors: each object is a point with a size (Zhou et al. 2019, CenterNet).

Letters: B batch, C channels, H height, W width, O numbers of a cell, F features.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.blocks import Standardize
from goodfit.schema import Count

# the share of cells that the network takes for centres at first (Lin et al. 2017, section 4.1):
# with a half, thousands of empty cells would drown the first steps
_PRIOR = 0.02


class CenterNet(nn.Module):
    """A small encoder and decoder with skips, trained from scratch.

    Each stage halves the resolution and doubles the features (residual blocks, He et al. 2016); on
    the way back the maps are doubled and added to those of their size (Lin et al. 2017, FPN), down
    to a quarter of the resolution. The first of a cell's numbers are the logits of the classes, and
    start rare.
    """

    output_form = "map"

    def __init__(self, spec: DataSpec, *, width: Count, stages: Count, blocks: Count) -> None:
        super().__init__()
        image = spec.inputs["image"]
        self.scale = Standardize(image)
        # two halvings in the stem: what follows has a sixteenth of the pixels
        stem = [
            _convolution(image.shape[0] or 0, width // 2, step=2),
            _convolution(width // 2, width, step=2),
        ]
        self.stem = nn.Sequential(*stem)

        widths = [width * 2**stage for stage in range(stages)]
        self.down = nn.ModuleList()
        features = width
        for stage, out_features in enumerate(widths):
            layers: list[nn.Module] = []
            if stage:
                layers.append(_convolution(features, out_features, step=2))
            layers += [_Residual(out_features) for _ in range(blocks)]
            self.down.append(nn.Sequential(*layers))
            features = out_features

        self.lateral = nn.ModuleList()
        for higher, lower in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.lateral.append(nn.Conv2d(higher, lower, 1))
        self.merge = nn.ModuleList([_convolution(lower, lower) for lower in widths[-2::-1]])
        self.head = nn.Sequential(
            _convolution(width, 2 * width), nn.Conv2d(2 * width, spec.outputs, 1)
        )
        self._start_rare(len(spec.labels))
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

        for lateral, merge, level in zip(self.lateral, self.merge, levels[-2::-1], strict=True):
            # to the level's own size: a side that is odd has no half
            raised = F.interpolate(lateral(x), size=level.shape[2:], mode="nearest")
            x = merge(raised + level)
        output: Tensor = self.head(x)
        return output

    def _start_rare(self, classes: int) -> None:
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.normal_(last.weight, std=0.001)
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.bias[:classes] = -math.log((1 - _PRIOR) / _PRIOR)


class _Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = _convolution(features, features)
        self.second = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, bias=False), nn.BatchNorm2d(features)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to the same."""
        return F.relu(x + self.second(self.first(x)))


def _convolution(features: int, out_features: int, step: int = 1) -> nn.Sequential:
    return nn.Sequential(
        # no bias: BatchNorm would take it away again with the mean
        nn.Conv2d(features, out_features, 3, stride=step, padding=1, bias=False),
        nn.BatchNorm2d(out_features),
        nn.ReLU(inplace=True),
    )

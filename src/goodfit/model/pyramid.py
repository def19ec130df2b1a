"""Maps of several resolutions become one of the finest: what detectors' networks share.

Letters: B batch, H height, W width, O numbers of a cell, F features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# the share of cells that the network takes for centres at first (Lin et al. 2017, section 4.1):
# with a half, thousands of empty cells would drown the first steps
_PRIOR = 0.02


class Pyramid(nn.Module):
    """A decoder with skips and a head for every cell (Lin et al. 2017, FPN).

    From the coarsest on, a map is doubled and added to the one of its size. The first of a cell's
    numbers are the logits of the classes, and start rare.
    """

    def __init__(self, widths: Sequence[int], *, outputs: int, classes: int) -> None:
        super().__init__()
        width = widths[0]
        self.lateral = nn.ModuleList()
        for higher, lower in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.lateral.append(nn.Conv2d(higher, lower, 1))
        self.merge = nn.ModuleList([convolution(lower, lower) for lower in widths[-2::-1]])
        self.head = nn.Sequential(convolution(width, 2 * width), nn.Conv2d(2 * width, outputs, 1))
        self._start_rare(classes)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Maps (B, F, H, W), each coarser and wider than the one before, to (B, O, H, W)."""
        x = levels[-1]
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


def convolution(
    features: int, out_features: int, *, kernel: int = 3, step: int = 1
) -> nn.Sequential:
    """Convolution, BatchNorm and ReLU: (B, F, H, W) to (B, F', H / step, W / step)."""
    return nn.Sequential(
        # no bias: BatchNorm would take it away again with the mean
        nn.Conv2d(features, out_features, kernel, stride=step, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_features),
        nn.ReLU(inplace=True),
    )

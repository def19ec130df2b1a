"""Bands of equal width on the mel scale, for networks and baselines on sounds.

Letters: F frequencies of a frame, M bands.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

QUIETEST = 1e-6  # added to a band's power: noise of one step of 16 bits is below it


def mel_bank(rate: int, size: int, bands: int) -> np.ndarray[Any, Any]:
    """Triangles (F, M) of height 1, whose corners are the peaks of their neighbours.

    m = 2595 log10(1 + f / 700); F are the frequencies of a frame of `size` samples, from 0 to half
    of `rate`.
    """
    top = 2595 * math.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.linspace(0, rate / 2, size // 2 + 1)[:, None]
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequency - low) / (peak - low), (high - frequency) / (high - peak)
    return np.minimum(rising, falling).clip(min=0).astype(np.float32)

"""Pixels as raw files and callers give them: whole numbers from 0 to 255, or a message.

Letters: H height, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from goodfit.data.base import Array
from goodfit.errors import UserError


def as_numbers(image: Any) -> Array:
    """An image, which may be nested lists, as float64 (H, W, ...).

    Raises:
        UserError: it has rows of several lengths, or cells that are no numbers.
    """
    try:
        return np.asarray(image, float)
    except (ValueError, TypeError) as error:
        raise UserError(f"an image is no array of numbers: {error}") from None


def is_byte(values: Array) -> Array:
    """Whether each number of (H, W, ...) is whole and from 0 to 255."""
    # a comparison with NaN is false
    fits: Array = (values >= 0) & (values <= 255) & (values == np.round(values))
    return fits


def as_bytes(values: Array) -> Array:
    """The numbers (H, W, ...) as uint8.

    Raises:
        UserError: one is not whole, or not from 0 to 255.
    """
    # as a byte 0.9 would be 0, and so would 256: an image scaled by its sender would be black
    if not is_byte(values).all():
        raise UserError("an image has values that are no whole numbers from 0 to 255")
    return values.astype(np.uint8)

"""What fits into a byte becomes one; nothing else is cut, wrapped or rounded."""

from __future__ import annotations

import numpy as np
import pytest

from goodfit.data.pixels import as_bytes, as_numbers, is_byte
from goodfit.errors import UserError


def test_every_byte_is_kept() -> None:
    image = as_numbers([[[value] for value in range(256)]])
    assert image.shape == (1, 256, 1)
    made = as_bytes(image)
    assert made.dtype == np.uint8
    assert made.tobytes() == bytes(range(256))


@pytest.mark.parametrize("value", [-1, 256, 0.5, 254.999, np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_byte_is_found(value: float) -> None:
    image = np.full((2, 3), 7.0)
    image[1, 2] = value
    assert np.argwhere(~is_byte(image)).tolist() == [[1, 2]]
    with pytest.raises(UserError, match="no whole numbers from 0 to 255"):
        as_bytes(image)


@pytest.mark.parametrize("image", [[[1, 2], [3]], [["a"]], [{}]])
def test_what_is_no_array_of_numbers_is_refused(image: object) -> None:
    with pytest.raises(UserError, match="an image is no array of numbers"):
        as_numbers(image)

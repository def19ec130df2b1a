"""What is asked of sorted values, against the libraries that ask it of any."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from goodfit.data.ordered import different, distance, quantiles


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1001])
def test_quantiles_are_those_of_numpy_bit_for_bit(size: int) -> None:
    rng = np.random.default_rng(size)
    shares = np.linspace(0, 1, 33)
    for values in (rng.normal(size=size) * 1e6, rng.integers(0, 3, size).astype(np.float32)):
        ordered = np.sort(values)
        assert quantiles(ordered, shares).tolist() == np.quantile(values, shares).tolist()


@pytest.mark.parametrize("values", [3, 50, 10**6])
def test_the_distance_is_that_of_kolmogorov_and_smirnov_and_of_fewer_places_a_bound(
    values: int,
) -> None:
    rng = np.random.default_rng(values)
    known = np.sort(rng.integers(0, values, 700))
    asked = np.sort(rng.integers(0, values, 300) + values // 20)
    exact = distance(known, asked, asked)
    assert exact == pytest.approx(ks_2samp(known, asked).statistic)
    for step in (2, 17, 300):
        assert exact <= distance(known, asked, asked[::step]) <= exact + step / 300 + 0.1
    assert distance(known, asked, asked[:1]) <= 1


def test_equal_values_are_counted_once() -> None:
    assert different(np.array([])) == 0
    assert different(np.array([1.0, 1.0, 2.0, 5.0, 5.0])) == 3

"""The average of the weights forgets untrained ones soon, by numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from goodfit.training.averaging import moving_average


@pytest.mark.parametrize(
    ("steps", "kept"), [(0, 0.1), (8, 0.5), (80, 0.9), (89, 90 / 99), (10_000, 0.99)]
)
def test_the_decay_grows_to_its_limit(steps: int, kept: float) -> None:
    """After n steps (n + 1) / (n + 10) of the average is kept, 0.99 at most."""
    average = moving_average(0.99)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert float(average(one, zero, torch.tensor(steps))) == pytest.approx(kept, abs=1e-6)


def test_a_count_is_taken_as_it_is() -> None:
    average = moving_average(0.99)
    assert int(average(torch.tensor(3), torch.tensor(8), torch.tensor(5))) == 8

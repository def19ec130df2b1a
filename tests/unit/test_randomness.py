"""What a network draws in a step is seeded for each step."""

from __future__ import annotations

import traceback

import pytest
import torch

from goodfit.training.randomness import seed_generators


@pytest.mark.parametrize("key", [0, 7, 2**63 - 1])
def test_a_seeded_step_draws_what_torch_would(key: int) -> None:
    torch.manual_seed(key)
    expected = torch.rand(3)
    torch.manual_seed(1)
    seed_generators(key, torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)


def test_seeding_formats_no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.manual_seed does, in each step, for every type of device that is not in use."""
    formatted = []
    format_stack = traceback.format_stack

    def noted(*arguments: object) -> list[str]:
        formatted.append(arguments)
        return format_stack()

    monkeypatch.setattr(traceback, "format_stack", noted)
    seed_generators(3, torch.device("cpu"))
    assert not formatted

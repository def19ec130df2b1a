"""A sharpness-aware step takes the gradient at w + rho g / |g|, of the same samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from omegaconf import OmegaConf
from torch import nn

from goodfit import build
from goodfit.config.check import check
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.store.arrays import Packed
from goodfit.training.lightning_task import LightningTask
from goodfit.training.stepping import ascend

RADIUS = 0.3


def test_all_weights_together_move_by_the_radius_up_the_gradient() -> None:
    """Of the loss x^2 + 3 y^2 at (2, 1), whose gradient is (4, 6)."""
    x, y = (nn.Parameter(torch.tensor(value)) for value in (2.0, 1.0))
    (x**2 + 3 * y**2).backward()
    ascend([x, y], RADIUS)
    assert x.item() == pytest.approx(2 + RADIUS * 4 / 52**0.5)
    assert y.item() == pytest.approx(1 + RADIUS * 6 / 52**0.5)


@pytest.fixture
def task(prepared: Callable[[str], Path]) -> LightningTask:
    """A network with dropout, ready for a step."""
    torch.manual_seed(0)
    spec = DataSpec.read(prepared("breast_cancer") / "spec.json")
    made = build.task(tiny.cfg("breast_cancer", model="mlp"), spec)
    return LightningTask(made, RADIUS).train()


def backward(task: LightningTask, prepared: Callable[[str], Path]) -> Callable[[], Any]:
    """Leaves the gradient of a batch, as Lightning's closure does."""
    batch = Packed(prepared("breast_cancer"), "train").batch(torch.arange(16))

    def closure() -> torch.Tensor:
        task.zero_grad()
        loss = task._step("train", batch, 0)
        loss.backward()
        return loss

    return closure


def test_a_step_is_that_of_the_gradient_at_the_moved_weights(
    task: LightningTask, prepared: Callable[[str], Path]
) -> None:
    by_hand = copy.deepcopy(task)
    optimizer = torch.optim.SGD(task.parameters(), 0.1)
    torch.manual_seed(1)
    task.optimizer_step(0, 0, optimizer, backward(task, prepared))

    # twice with the same dropout
    weights = list(by_hand.parameters())
    before = [weight.detach().clone() for weight in weights]
    torch.manual_seed(1)
    backward(by_hand, prepared)()
    gradient = [weight.grad for weight in weights]
    norm = torch.cat([each.flatten() for each in gradient if each is not None]).norm()
    with torch.no_grad():
        for weight, each in zip(weights, gradient, strict=True):
            weight += RADIUS * each / norm  # type: ignore[operator]
    torch.manual_seed(1)
    backward(by_hand, prepared)()
    for weight, old, stepped in zip(weights, before, task.parameters(), strict=True):
        assert weight.grad is not None
        assert torch.allclose(old - 0.1 * weight.grad, stepped, atol=1e-6)


def test_an_epoch_counts_each_sample_once(
    task: LightningTask, prepared: Callable[[str], Path]
) -> None:
    optimizer = torch.optim.SGD(task.parameters(), 0.1)
    plain = copy.deepcopy(task)
    torch.manual_seed(1)
    backward(plain, prepared)()
    torch.manual_seed(1)
    task.optimizer_step(0, 0, optimizer, backward(task, prepared))
    assert task.reduce("train") == plain.reduce("train")


def test_running_statistics_move_once_a_step(prepared: Callable[[str], Path]) -> None:
    torch.manual_seed(0)
    spec = DataSpec.read(prepared("mnist") / "spec.json")
    task = LightningTask(build.task(tiny.cfg("mnist", model="cnn"), spec), RADIUS).train()
    batch = Packed(prepared("mnist"), "train").batch(torch.arange(8))

    def closure() -> None:
        task.zero_grad()
        task._step("train", batch, 0).backward()

    plain = copy.deepcopy(task)
    plain.task.model(**batch.inputs)
    task.optimizer_step(0, 0, torch.optim.SGD(task.parameters(), 0.0), closure)
    once, twice = (
        {name: value for name, value in each.named_buffers() if "running" in name}
        for each in (plain, task)
    )
    assert once.keys()
    assert all(torch.allclose(once[name], twice[name]) for name in once)


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ({"accumulate_grad_batches": 2}, "divides the step"),
        ({"strategy": "fsdp"}, "divides the gradient"),
        ({"precision": "bf16-true"}, "rounds"),
    ],
)
def test_what_sharp_steps_cannot_do_is_refused_with_the_reason(
    trainer: dict[str, Any], reason: str
) -> None:
    cfg = OmegaConf.merge(tiny.cfg("breast_cancer"), {"sharpness": 0.05, "trainer": trainer})
    with pytest.raises(UserError, match=f"sharpness=0.05: .*{reason}"):
        check(cfg)  # type: ignore[arg-type]

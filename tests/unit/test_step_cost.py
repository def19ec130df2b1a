"""What a step leaves out of Lightning's way, and that it computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.profilers import SimpleProfiler
from torch import Tensor

from goodfit.launch.fit import fit
from goodfit.training.trainer import NoProfiler, make_trainer

Home = Callable[..., DictConfig]
CLIP = 0.05  # less than any gradient here


class Clipped(pl.Callback):
    """The gradients of each step before and after clipping, in the order of the optimizer."""

    def __init__(self) -> None:
        self.before: list[list[Tensor]] = []
        self.after: list[list[Tensor]] = []
        self.profilers: set[type] = set()

    def on_before_optimizer_step(self, trainer: pl.Trainer, task: Any, optimizer: Any) -> None:
        self.profilers.add(type(trainer.profiler))
        self.before.append([weight.grad.clone() for weight in weights(optimizer)])

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.after.append([weight.grad.clone() for weight in weights(trainer.optimizers[0])])


def weights(optimizer: Any) -> list[Any]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def clipped(home: Home, **trainer: Any) -> Clipped:
    seen = Clipped()
    cfg = home(trainer={"gradient_clip_val": CLIP, "max_epochs": 1})
    OmegaConf.update(cfg, "trainer", trainer, force_add=True)
    fit(cfg, out=Path("model"), callbacks=[seen])
    assert seen.after
    return seen


def test_clipping_by_the_norm_of_the_guard_is_that_of_torch(home: Home) -> None:
    seen = clipped(home)
    for before, after in zip(seen.before, seen.after, strict=True):
        expected = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in before]
        for weight, gradient in zip(expected, before, strict=True):
            weight.grad = gradient
        norm = torch.nn.utils.clip_grad_norm_(expected, CLIP)
        assert norm > CLIP
        assert all(torch.equal(a.grad, b) for a, b in zip(expected, after, strict=True))


def test_the_norm_of_a_gradient_is_computed_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    norm_of = torch._foreach_norm

    def counted(*arguments: Any) -> Any:
        computed.append(1)
        return norm_of(*arguments)

    monkeypatch.setattr(torch, "_foreach_norm", counted)
    assert len(clipped(home).after) == len(computed)


@pytest.mark.slow
def test_gradients_are_clipped_by_value_where_that_is_asked_for(home: Home) -> None:
    seen = clipped(home, gradient_clip_algorithm="value")
    for before, after in zip(seen.before, seen.after, strict=True):
        pairs = zip(before, after, strict=True)
        assert all(torch.equal(a.clamp(-CLIP, CLIP), b) for a, b in pairs)


def test_a_profiler_is_used_where_one_is_asked_for(home: Home, tmp_path: Path) -> None:
    assert clipped(home).profilers == {NoProfiler}
    cfg = home()
    OmegaConf.update(cfg, "trainer.profiler", "simple", force_add=True)
    trainer = make_trainer(cfg, tmp_path, world=1, micro_batches=1, callbacks=[])
    assert isinstance(trainer.profiler, SimpleProfiler)

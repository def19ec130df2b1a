"""A broken loss or gradient never reaches the weights: a training ends, or leaves the step out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import tiny
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from goodfit.errors import NonFiniteLossError
from goodfit.guard.base import Guard
from goodfit.launch.fit import fit

Home = Callable[..., DictConfig]
STEPS = (1, 2)  # of each epoch, whose loss or gradient is broken


class Spoil(pl.Callback):
    """Breaks the loss, or a gradient behind a finite loss, at `STEPS`; keeps the weights there."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.before: list[dict[str, Tensor]] = []
        self.after: list[dict[str, Tensor]] = []
        self._batch = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, task: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batch = batch_idx
        if batch_idx in STEPS:
            self.before.append(state(task))
            if self.what == "loss":
                batch.inputs["numbers"][0] = float("nan")

    def on_after_backward(self, trainer: pl.Trainer, task: Any) -> None:
        if self.what == "gradient" and self._batch in STEPS:
            next(task.parameters()).grad[0] = float("inf")

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx in STEPS:
            self.after.append(state(task))


def state(task: Any) -> dict[str, Tensor]:
    """Weights and buffers."""
    return {name: value.clone() for name, value in task.state_dict().items()}


def guarded(home: Home, guard: str, **options: Any) -> DictConfig:
    cfg = home(
        trainer={"max_epochs": 2}, early_stopping={"patience": None}, loader={"batch_size": 8}
    )
    cfg.guard = OmegaConf.create(tiny.section("guard", guard) | options)
    return cfg


@pytest.mark.slow
@pytest.mark.fault(18)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_skip_leaves_no_trace_of_a_broken_step(
    home: Home, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil = Spoil(what)
    done = fit(guarded(home, "skip", most=9), out=Path("model"), callbacks=[spoil])
    assert len(spoil.before) == len(spoil.after) == 4
    for before, after in zip(spoil.before, spoil.after, strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(value).all() for value in spoil.after[-1].values())
    assert capsys.readouterr().out.count("skipped a step, ") == 4
    assert done.folder == Path("model")


@pytest.mark.fault(18)
def test_skip_takes_back_what_batchnorm_keeps_of_a_broken_batch(
    home: Home, prepared: Callable[[str], Path]
) -> None:
    uri = home().tracking.uri
    shutil.rmtree("data/prepared/tiny")
    shutil.copytree(prepared("mnist"), "data/prepared/tiny")
    cfg = tiny.cfg(
        "mnist",
        model="cnn",
        tracking={"uri": uri},
        loader={"batch_size": 8},
        trainer={"max_epochs": 1},
    )
    cfg.guard = OmegaConf.create(tiny.section("guard", "skip"))
    spoil = Spoil("gradient")
    fit(cfg, out=Path("model"), callbacks=[spoil])
    running = [name for name in spoil.before[0] if "running_" in name]
    assert running
    for before, after in zip(spoil.before, spoil.after, strict=True):
        assert all(torch.equal(before[name], after[name]) for name in running)


@pytest.mark.slow
@pytest.mark.fault(18)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_skip_has_an_end(home: Home, what: str) -> None:
    with pytest.raises(
        NonFiniteLossError,
        match=r"at epoch 1 step 2; .*guard.most=3 batches have been skipped before",
    ):
        fit(guarded(home, "skip", most=3), out=Path("model"), callbacks=[Spoil(what)])
    assert not Path("model").exists()


@pytest.mark.fault(18)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_stop_says_where_and_of_which_samples(home: Home, what: str) -> None:
    message = (
        rf"non-finite {what} \(.*\) at epoch 0 step 1; training samples \[\d+, .*\]; "
        "before the optimizer step"
    )
    with pytest.raises(NonFiniteLossError, match=message):
        fit(guarded(home, "stop"), out=Path("model"), callbacks=[Spoil(what)])


def test_without_a_guard_the_weights_would_be_lost(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above can fail."""
    for hook in ("on_before_backward", "on_before_optimizer_step"):
        monkeypatch.setattr(Guard, hook, lambda *_: None)
    spoil = Spoil("loss")
    with pytest.raises(Exception, match="no epoch had a finite"):
        fit(guarded(home, "stop"), out=Path("model"), callbacks=[spoil])
    assert not all(torch.isfinite(value).all() for value in spoil.after[-1].values())

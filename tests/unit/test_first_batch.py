"""A network that can learn sixteen samples by heart does, and one that cannot is told why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from omegaconf import OmegaConf

from goodfit.contract import Batch
from goodfit.store.loader import Shard
from goodfit.store.mapped import read_targets
from goodfit.task.base import Task
from goodfit.training import loop
from goodfit.training.first_batch import FirstBatch, chosen, first_batch, learned

pytestmark = pytest.mark.fault(64)
Prepared = Callable[[str], Path]
CALM = {"model": {"dropout": 0.0}}


def broken(prepared: Prepared, change: Callable[[Task, Batch], None], **changes: Any) -> str | None:
    """What is found of a network after `change`."""
    cfg = OmegaConf.merge(tiny.cfg(tiny.QUICK), CALM, changes)
    task, data = loop.prepare(cfg, prepared(tiny.QUICK), Shard())  # type: ignore[arg-type]
    batch = data.train.batch(torch.arange(16))
    change(task, batch)
    return learned(cfg, task, batch).fault  # type: ignore[arg-type]


def nothing(task: Task, batch: Batch) -> None:
    """All stays as it is."""


@pytest.mark.parametrize(
    "case", ["breast_cancer", "mnist", pytest.param("electricity", marks=pytest.mark.slow)]
)
def test_a_healthy_network_learns_the_batch_by_heart(case: str, prepared: Prepared) -> None:
    cfg = tiny.calm(tiny.cfg(case, optimizer={"lr": 3e-3}))
    found = first_batch(cfg, prepared(case))
    assert found.fault is None
    assert max(found.losses[-5:]) <= 0.1 * found.losses[0]


def test_a_layer_that_forward_does_not_use_is_named(prepared: Prepared) -> None:
    def spare(task: Task, batch: Batch) -> None:
        task.model.spare = torch.nn.Linear(2, 2)

    said = broken(prepared, spare)
    assert said is not None
    assert said.startswith("no gradient reaches spare.weight, spare.bias:")


def test_units_that_are_zero_for_all_samples_are_dead(prepared: Prepared) -> None:
    def kill(task: Task, batch: Batch) -> None:
        first = next(module for module in task.model.modules() if hasattr(module, "in_features"))
        torch.nn.init.constant_(first.bias, -1e4)

    said = broken(prepared, kill)
    assert said is not None
    assert "no gradient reaches" in said or "it does not learn" in said


def test_a_frozen_parameter_needs_no_gradient(prepared: Prepared) -> None:
    cfg = OmegaConf.merge(tiny.cfg(tiny.QUICK), CALM)
    task, data = loop.prepare(cfg, prepared(tiny.QUICK), Shard())  # type: ignore[arg-type]
    first = next(name for name, _ in task.model.named_parameters())
    cfg.parameters.freeze = [first]
    found = learned(cfg, task, data.train.batch(torch.arange(16)))  # type: ignore[arg-type]
    assert first not in found.without_gradient


def test_a_loss_that_is_no_number_ends_at_once(prepared: Prepared) -> None:
    def poison(task: Task, batch: Batch) -> None:
        batch.inputs["numbers"][3] = float("nan")

    said = broken(prepared, poison)
    assert said is not None
    assert said.startswith("the loss is nan at step 1:")


def test_steps_that_are_too_small_do_not_learn(prepared: Prepared) -> None:
    said = broken(prepared, nothing, optimizer={"lr": 1e-9})
    assert said is not None
    assert "it does not learn; look at the loss and at optimizer.lr" in said


def test_a_loss_that_falls_but_not_far_is_not_learned_by_heart() -> None:
    said = FirstBatch(16, tuple(np.linspace(1.0, 0.4, 600)), ()).fault
    assert said is not None
    assert "falls from 1.00 to 0.404 in 600 steps, and not below a tenth" in said


def test_a_rare_label_is_in_the_batch(prepared: Prepared) -> None:
    cfg = tiny.cfg(tiny.QUICK)
    folder = prepared(tiny.QUICK)
    task, data = loop.prepare(cfg, folder, Shard())
    rows = chosen(task, folder, len(data.train))
    (target,) = read_targets(folder / "train", task.spec).values()
    assert len(rows) == len(set(rows.tolist())) == 16
    assert set(target[rows.numpy()]) == set(target)

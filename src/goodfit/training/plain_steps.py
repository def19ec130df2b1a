"""Steps of an experiment's own optimizer without a trainer: no epochs, no schedule, no checkpoints.

For checks that train for seconds, and keep nothing. Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from goodfit import build
from goodfit.contract import Batch
from goodfit.store.arrays import moved
from goodfit.task.base import Task
from goodfit.task.parameter_groups import make_optimizer
from goodfit.task.scores import mean_loss
from goodfit.training.freezing import freeze


def device_of(cfg: DictConfig) -> torch.device:
    """The GPU that the trainer would take, else the CPU."""
    is_cpu = cfg.trainer.accelerator == "cpu" or not torch.cuda.is_available()
    return torch.device("cpu" if is_cpu else "cuda")


def steps(cfg: DictConfig, task: Task, batches: Iterable[Batch]) -> Iterator[float]:
    """The loss of each batch before the step that it causes; gradients stay until the next one.

    Frozen parameters stay frozen, and gradients are clipped as the trainer does.
    """
    rules = build.parameter_rules(cfg)
    freeze(task.model, rules, 0)
    task.to(device_of(cfg)).train()
    made = build.make("optimizer", cfg.optimizer)
    optimizer = make_optimizer(task.model, optimizer=made, rules=rules)
    most = cfg.trainer.get("gradient_clip_val")
    for batch in batches:
        optimizer.zero_grad()
        loss = _loss(task, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        yield loss.item()
        if most:
            nn.utils.clip_grad_norm_(task.model.parameters(), most)
        optimizer.step()


def _loss(task: Task, batch: Batch) -> Tensor:
    """The mean loss () of a batch, by units and by the weights of its samples."""
    device = next(task.parameters()).device
    inputs, targets = moved(batch.inputs, device), moved(batch.targets, device)
    loss, units = task.losses(task.run(inputs, targets), targets), task.units(**targets)
    if batch.sample_weight is not None:
        weight = batch.sample_weight.to(device)
        loss, units = loss * weight, units * weight
    return mean_loss(loss, units)

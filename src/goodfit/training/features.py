"""What a frozen network gives its head is computed once for each sample, not in each epoch.

Frozen layers answer as in use (freezing.py), so in all epochs alike. Letters: N samples of a split,
B samples that are computed together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from typing_extensions import override

from goodfit.contract import FEATURES
from goodfit.store.arrays import Packed, moved
from goodfit.system import paging, signals
from goodfit.task.base import Task
from goodfit.training.datamodule import DataModule
from goodfit.training.lightning_task import LightningTask

_LARGEST_SHARE = 0.25  # of the memory, which holds them beside all that a training needs


def are_fixed(cfg: DictConfig, model: nn.Module) -> bool:
    """Whether all below the head stays as it is, and so do the inputs.

    And whether the network says what is below: `features` of its inputs, and `answer` of these.
    """
    is_declared = hasattr(model, "features") and hasattr(model, "answer")
    rules, is_divided = cfg.parameters, cfg.trainer.get("strategy") == "fsdp"
    return (
        is_declared
        and rules.get("train", "all") == "head"
        and set(cfg.augment) <= {"none"}
        and not is_divided
    )


class FeaturesOnce(pl.Callback):
    """Replaces the inputs of train and validation by their features, where memory holds them.

    They are computed in the order of the rows, so a training that goes on after a cut is the same
    bit by bit; by every rank for itself.
    """

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # weights are on the device and those of a checkpoint restored; no batch was gathered yet
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, LightningTask)
        assert isinstance(data, DataModule)
        task = pl_module.task
        started = time.monotonic()
        first = _features(task, data.train, torch.arange(1))
        samples = len(data.train) + len(data.validation)
        size = samples * first.nbytes
        if size > _LARGEST_SHARE * paging.memory_limit():
            return
        splits = []
        for split in (data.train, data.validation):
            parts = torch.split(torch.arange(len(split)), data.eval_batch_size)
            values = torch.cat([_features(task, split, rows) for rows in parts])
            splits.append(split.given({FEATURES: values}))
        data.take(*splits)
        task.inputs = (FEATURES,)
        if trainer.is_global_zero:
            seconds = time.monotonic() - started
            print(
                f"all but the head is frozen: its answers to {samples:,} samples were computed "
                f"once, in {seconds:.0f} s ({size / 1e6:,.0f} MB)",
                flush=True,
            )


@contextmanager
def kept(task: Task, data: DataModule) -> Iterator[None]:
    """In the block, a task with the same frozen weights takes the features that `data` holds."""
    own = task.inputs
    if FEATURES in data.train.inputs:
        task.inputs = (FEATURES,)
    try:
        yield
    finally:
        task.inputs = own


@torch.no_grad()
def _features(task: Task, split: Packed, rows: Tensor) -> Tensor:
    """Those of the samples at `rows` (B,), (B, D) on the CPU.

    Raises:
        SystemExit: the process was told to stop; nothing of them is kept.
    """
    if signals.stop_requested():
        raise SystemExit(128 + signals.stop_requested())
    model: Any = task.model
    modes = {name: module.training for name, module in model.named_modules()}
    model.eval()
    inputs = moved(split.batch(rows).inputs, next(model.parameters()).device)
    features: Tensor = model.features(**inputs).cpu()
    for name, module in model.named_modules():
        module.training = modes[name]
    return features

"""Trainings that are cut after a given step, and what tells two of them apart."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from goodfit.launch.fit import fit
from goodfit.system import signals

Home = Callable[..., DictConfig]
FOLDER = Path("build/checkpoints/tiny")


class Cut(pl.Callback):
    """Asks the training to stop, as SIGTERM would, after a batch of an epoch, counted from zero."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            signals.request_stop(signal.SIGTERM)


def cut(cfg: DictConfig, epoch: int, batch: int) -> None:
    """Trains until that batch, and forgets the signal."""
    try:
        with pytest.raises(SystemExit) as ended:
            fit(cfg, out=Path("model"), callbacks=[Cut(epoch, batch)])
    finally:
        signals.reset()
    assert ended.value.code == 143


def history(model: Path) -> list[dict[str, str]]:
    """The rows of history.csv without the times."""
    with (model / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        del row["epoch_seconds"]
    return rows


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(model / "weights.pt", weights_only=True))


def same(first: Path, second: Path) -> bool:
    """Whether two models have the same history and, bit by bit, the same weights."""
    expected = weights(second)
    equal = [torch.equal(value, expected[name]) for name, value in weights(first).items()]
    return history(first) == history(second) and all(equal)


def case(home: Home, name: str) -> DictConfig:
    """A training with dropout, and with what the name says: all that a cut might change."""
    cfg = home(trainer={"max_epochs": 4}, model={"dropout": 0.4}, early_stopping={"patience": None})
    if name == "workers":
        cfg.loader.workers = 2
    if name == "average":
        cfg.average = 0.9
    if name == "accumulated":
        cfg.trainer.accumulate_grad_batches = 2
    return cfg

"""Trainings that are cut at a given step, and what tells two of them apart."""

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
    """Asks the training to stop, as a signal would, in an epoch after a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.place:
            signals.request_stop(signal.SIGTERM)


def cut(cfg: DictConfig, epoch: int, batch: int) -> None:
    """A training that is told to stop there."""
    with pytest.raises(SystemExit) as ended:
        fit(cfg, out=Path("model"), callbacks=[Cut(epoch, batch)])
    assert ended.value.code == 143
    signals.reset()


def history(model: Path) -> list[dict[str, str]]:
    with (model / "history.csv").open() as stream:
        return [
            {key: value for key, value in row.items() if key != "epoch_seconds"}
            for row in csv.DictReader(stream)
        ]


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(model / "weights.pt", weights_only=True))


def same(one: Path, other: Path) -> bool:
    pairs = [(value, weights(other)[name]) for name, value in weights(one).items()]
    return history(one) == history(other) and all(torch.equal(*pair) for pair in pairs)


def case(home: Home, name: str) -> DictConfig:
    """Trainings with all that could tell two of them apart."""
    cfg = home(trainer={"max_epochs": 4}, model={"dropout": 0.4}, early_stopping={"patience": 9})
    if name == "workers":
        cfg.loader.workers = 2
    if name == "average":
        cfg.average = 0.9
    if name == "accumulated":
        cfg.trainer.accumulate_grad_batches = 2
    return cfg

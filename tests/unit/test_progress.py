"""The line of an epoch: its numbers, and the best epoch so far in the monitor's own direction."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from goodfit.training.progress import LearningCurves

VALUES = (0.6, 0.9, 0.7)  # of three epochs


def line(monitor: str, mode: str) -> str:
    """What is printed of the third epoch."""
    curves = LearningCurves(lambda row, epoch: None, 16)
    rows = []
    for epoch, value in enumerate(VALUES):
        rows.append({"epoch": epoch, "train/loss": 0.5, "val/loss": value, "val/accuracy": value})
    curves.history = rows
    task: Any = SimpleNamespace(monitor=monitor, score="accuracy", mode=lambda name: mode)
    return curves._metrics(task, rows[-1])


@pytest.mark.parametrize(
    ("monitor", "mode", "best"),
    [
        ("accuracy", "max", "best val/accuracy 0.9000 (epoch 2)"),
        ("loss", "min", "best val/loss 0.6000 (epoch 1)"),
    ],
)
def test_the_best_epoch_is_that_of_the_best_value(monitor: str, mode: str, best: str) -> None:
    said = line(monitor, mode)
    assert said.endswith(best)
    assert said.startswith("train/loss 0.5000  val/loss 0.7000  val/accuracy 0.7000")

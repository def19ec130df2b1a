"""What happens around the steps: augmentation before each, one line and one row of metrics after each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from goodfit.augment.base import Augment
from goodfit.augment.draws import Draws
from goodfit.task.base import Task


class Chance(pl.Callback):
    """All that is random in a step is a function of (seed, epoch, step, device); augmentation, of its sample.

    So a training that goes on after a cut draws what it would have drawn: nothing of it need be stored.
    """

    def __init__(self, augment: Augment, seed: int) -> None:
        self.augment, self.seed = augment, seed

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        key = ((self.seed * 1_000_003 + trainer.current_epoch) * 1_000_003 + batch_idx) * 1_009 + trainer.global_rank
        torch.manual_seed(key % 2**63)
        changed = self.augment(batch, Draws(batch.rows, seed=self.seed, epoch=trainer.current_epoch))
        batch.inputs.update(changed.inputs)  # the hook cannot return a batch; the dictionary is this step's own
        if changed.target is not batch.target:
            batch.target.copy_(changed.target)


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Exponential average of the weights whose decay grows to `decay`, so that the first ones are forgotten soon.

    The decay after n steps is min(decay, (n + 1) / (n + 10)), as in TensorFlow's ExponentialMovingAverage.
    """

    def average(old: Tensor, new: Tensor, steps: Tensor) -> Tensor:
        return torch.lerp(new, old, min(decay, float((steps + 1) / (steps + 10)))) if old.is_floating_point() else new

    return average


class Curves(pl.Callback):
    """Collects one row of metrics an epoch, hands it on, and prints a line about it."""

    def __init__(self, record: Callable[[dict[str, float], int], None], batch_size: int) -> None:
        self.record, self.batch_size = record, batch_size
        self.history: list[dict[str, float]] = []
        self._started, self._spoke = time.monotonic(), 0.0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Recorded once more: what waited to be sent when the process died was never sent."""
        self.history = list(state_dict["history"])
        for row in self.history:
            self.record({key: value for key, value in row.items() if key != "epoch"}, int(row["epoch"]))

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Task)
        row = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row["epoch_seconds"] = time.monotonic() - self._started
        self.history.append({"epoch": trainer.current_epoch, **row})
        self.record(row, trainer.current_epoch)
        if not trainer.is_global_zero:
            return
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if last or time.monotonic() - self._spoke > 2:  # a line every two seconds is alive, more is noise
            self._spoke = time.monotonic()
            print(self._line(trainer, pl_module, row), flush=True)

    def _line(self, trainer: pl.Trainer, task: Task, row: dict[str, float]) -> str:
        key = f"val/{task.monitor}"
        choose = min if task.mode(task.monitor) == "min" else max
        best = choose(self.history, key=lambda past: past[key])
        names = dict.fromkeys(["train/loss", "val/loss", f"val/{task.score}"])
        shown = "  ".join(f"{name} {row[name]:.4f}" for name in names if name in row)
        return (
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}  {shown}  "
            f"best {key} {best[key]:.4f} (epoch {int(best['epoch']) + 1})  {row['epoch_seconds']:.1f} s"
        )

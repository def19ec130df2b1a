"""Metrics of a training: recorded as one row an epoch, and printed as lines for whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from goodfit.system import units
from goodfit.task.base import Task
from goodfit.training.lightning_task import LightningTask

# at least between two lines: one in two seconds shows that a training is alive, more is noise
SECONDS_BETWEEN_EPOCH_LINES = 2.0
# within an epoch that takes longer, a line of its own as often
SECONDS_BETWEEN_STEP_LINES = 10.0


class LearningCurves(pl.Callback):
    """Collects and records a row of metrics an epoch; its lines suit a terminal and a file alike.

    `record` takes a row and its epoch, counted from zero. `batch_size` is that of a step on all
    ranks together. The first rank prints.
    """

    def __init__(self, record: Callable[[dict[str, float], int], None], batch_size: int) -> None:
        self.record = record
        self.batch_size = batch_size
        self.history: list[dict[str, float]] = []

        now = time.monotonic()
        self._last_line = -math.inf
        self._epoch_started = now
        # of this process's own part: a training that goes on does not start at step 0
        self._fit_started = now
        self._first_step = 0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Records every row once more: what waited to be sent when the process died was lost."""
        self.history = list(state_dict["history"])
        for row in self.history:
            metrics = {name: value for name, value in row.items() if name != "epoch"}
            self.record(metrics, int(row["epoch"]))

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._fit_started = time.monotonic()
        self._epoch_started = self._fit_started
        self._first_step = trainer.global_step

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_started = time.monotonic()

    @override
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Prints the loss of the batch where an epoch takes long."""
        silent_since = max(self._last_line, self._epoch_started)
        if time.monotonic() - silent_since <= SECONDS_BETWEEN_STEP_LINES:
            return

        if trainer.is_global_zero:
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            self._print(trainer, f"batch loss {float(loss):.4f}")

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, LightningTask)
        row = {name: float(value) for name, value in trainer.callback_metrics.items()}
        group = trainer.optimizers[0].param_groups[0]
        row["lr"] = float(group["lr"] / group["lr_factor"])  # of `optimizer.lr`, whatever the group
        row["epoch_seconds"] = time.monotonic() - self._epoch_started
        self.history.append({"epoch": trainer.current_epoch, **row})
        self.record(row, trainer.current_epoch)

        if not trainer.is_global_zero:
            return
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if last or time.monotonic() - self._last_line > SECONDS_BETWEEN_EPOCH_LINES:
            self._print(trainer, self._metrics(pl_module.task, row))

    def _print(self, trainer: pl.Trainer, metrics: str) -> None:
        """A line: where the training is, its metrics, its throughput."""
        self._last_line = time.monotonic()
        epoch = f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}"
        step = f"step {trainer.global_step}"
        # flushed, for a pipe would hold lines back until it has a block of them
        print(f"{epoch}  {step}  {metrics}  {self._throughput(trainer)}", flush=True)

    def _metrics(self, task: Task, row: dict[str, float]) -> str:
        """The epoch's losses and score, and the best of the monitored metric so far."""
        monitor = f"val/{task.monitor}"
        choose = min if task.mode(task.monitor) == "min" else max
        best = choose(self.history, key=lambda past: past[monitor])

        # without duplicates: a loss may be the score
        names = dict.fromkeys(["train/loss", "val/loss", f"val/{task.score}"])
        shown = "  ".join(f"{name} {row[name]:.4f}" for name in names if name in row)
        return f"{shown}  best {monitor} {best[monitor]:.4f} (epoch {int(best['epoch']) + 1})"

    def _throughput(self, trainer: pl.Trainer) -> str:
        """Samples a second of all ranks together, time in validation included, and the time left.

        That is the time of all epochs; early stopping may end the training sooner.
        """
        seconds = max(time.monotonic() - self._fit_started, 1e-9)
        rate = (trainer.global_step - self._first_step) / seconds
        steps = trainer.estimated_stepping_batches - trainer.global_step
        left = units.remaining(steps / max(rate, 1e-9))
        return f"{rate * self.batch_size:,.0f} samples/s, {left} left at most"

"""What happens around the steps: augmentation before each, one line and one row of metrics after
each epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from goodfit.task.base import Task

PAUSE = 10.0  # seconds in which an epoch says nothing


class LearningCurves(pl.Callback):
    """Collects one row of metrics an epoch, hands it on, and prints lines that fit a terminal and a
    file alike.
    """

    def __init__(self, record: Callable[[dict[str, float], int], None], batch_size: int) -> None:
        self.record, self.batch_size = record, batch_size
        self.history: list[dict[str, float]] = []
        self._started, self._spoke = time.monotonic(), 0.0
        self._began = (time.monotonic(), 0)  # of this process: when, and after how many steps

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Recorded once more: what waited to be sent when the process died was never sent."""
        self.history = list(state_dict["history"])
        for row in self.history:
            self.record(
                {key: value for key, value in row.items() if key != "epoch"}, int(row["epoch"])
            )

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = (time.monotonic(), trainer.global_step)
        self._started = time.monotonic()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    @override
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """A long epoch is heard of, too."""
        if trainer.is_global_zero and time.monotonic() - max(self._spoke, self._started) > PAUSE:
            self._spoke = time.monotonic()
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            print(
                f"{self._place(trainer)}  batch loss {float(loss):.4f}  {self._pace(trainer)}",
                flush=True,
            )

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
        if (
            last or time.monotonic() - self._spoke > 2
        ):  # a line every two seconds is alive, more is noise
            self._spoke = time.monotonic()
            print(
                f"{self._place(trainer)}  {self._scores(pl_module, row)}  {self._pace(trainer)}",
                flush=True,
            )

    def _place(self, trainer: pl.Trainer) -> str:
        return (
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}  step {trainer.global_step}"
        )

    def _scores(self, task: Task, row: dict[str, float]) -> str:
        key = f"val/{task.monitor}"
        choose = min if task.mode(task.monitor) == "min" else max
        best = choose(self.history, key=lambda past: past[key])
        names = dict.fromkeys(["train/loss", "val/loss", f"val/{task.score}"])
        shown = "  ".join(f"{name} {row[name]:.4f}" for name in names if name in row)
        return f"{shown}  best {key} {best[key]:.4f} (epoch {int(best['epoch']) + 1})"

    def _pace(self, trainer: pl.Trainer) -> str:
        """Samples a second of all devices together, validation's time included, and what is left of
        all epochs.
        """
        since, before = self._began
        rate = (trainer.global_step - before) / max(time.monotonic() - since, 1e-9)
        left = (trainer.estimated_stepping_batches - trainer.global_step) / max(rate, 1e-9)
        return f"{rate * self.batch_size:,.0f} samples/s, {words(left)} left at most"


def words(seconds: float) -> str:
    """A time to wait, as a person would say it."""
    for size, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"

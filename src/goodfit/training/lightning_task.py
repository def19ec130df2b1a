"""A task as Lightning trains it: its steps, what they leave, and its optimizer.

Letters: B batch, K numbers of a tensor.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from goodfit.contract import Batch
from goodfit.task.base import Task
from goodfit.task.epoch import EpochResults
from goodfit.task.kept import Samples
from goodfit.task.scores import Statistics, mean_loss, with_weight
from goodfit.task.sharding import shard
from goodfit.training.stepping import Stepping


class LightningTask(Stepping):
    """Trains a task, which knows nothing of Lightning: whoever uses a model need not import it."""

    def __init__(self, task: Task, sharpness: float = 0.0) -> None:
        super().__init__()
        self.task = task
        self.sharpness = sharpness
        self._sharded = False
        # scores of each step of train would double the step of a network that writes texts, by
        # further passes over (B, T, V): where it is fed, train is watched by its loss alone
        self._results = {
            "train": EpochResults("train", additive=task.additive, scored=not task.feeds),
            "val": EpochResults("val", additive=task.additive),
        }

    def configure_model(self) -> None:
        """Under trainer=fsdp the network is sharded.

        Lightning calls this hook once for each stage, so only the first call shards.
        """
        mesh = getattr(self, "_device_mesh", None)  # set by Lightning's ModelParallelStrategy alone
        if mesh is None or self._sharded:
            return
        shard(self.task.model, mesh["data_parallel"])
        self._sharded = True

    def training_step(self, batch: Batch, step: int) -> Tensor:
        """The loss () to minimize: the batch's mean, times the weight of a shared batch.

        A batch that is split among devices or micro-batches is weighted so that the mean over its
        parts is the mean of the whole.
        """
        loss = self._step("train", batch, step)
        return loss if batch.weight == 1.0 else loss * batch.weight

    # Lightning asks in every step which arguments it takes: 20 microseconds without this
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    def validation_step(self, batch: Batch, step: int) -> None:
        """Keeps statistics; nothing is reduced before the epoch ends."""
        self._step("val", batch, step)

    def on_train_epoch_start(self) -> None:
        """A training epoch starts with no results."""
        self._results["train"].clear()

    def on_validation_epoch_start(self) -> None:
        """A validation epoch starts with no results."""
        self._results["val"].clear()

    def on_validation_epoch_end(self) -> None:
        """Logs loss and scores of both splits.

        Lightning validates inside the training epoch, after its last step, so train is complete.
        """
        row = self.reduce("val")
        if not self._results["train"].is_empty:  # it is where a trainer only validates
            row |= self.reduce("train")
            row["gap/loss"] = row["val/loss"] - row["train/loss"]
        self._results["train"].clear()
        # size one: the row is the whole epoch's, so there is no mean over batches to weight
        self.log_dict(row, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the results of the epoch so far: its scores need them after a resume."""
        checkpoint["results"] = self._results["train"].state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the results of the epoch so far."""
        self._results["train"].load(checkpoint["results"], self.global_rank)

    def reduce(self, split: str) -> dict[str, float]:
        """Loss and scores of all ranks' samples since the epoch began, by name."""
        row = self._results[split].reduce(self.task.watch_metrics(), self.device)
        return {f"{split}/{name}": value for name, value in row.items()}

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the configuration; the schedule advances at every step."""
        optimizer = self.task.optimizer(self.task.model)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = self.task.schedule(optimizer, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _step(self, split: str, batch: Batch, step: int) -> Tensor:
        """The mean loss () of a batch, whose statistics are kept."""
        task = self.task
        output, weight = task.run(batch.inputs, batch.targets), batch.sample_weight
        loss, units = task.losses(output, batch.targets), task.units(**batch.targets)
        if weight is not None:
            loss, units = loss * weight, units * weight

        statistics: Statistics = {}
        results = self._results[split]
        if results.scored:
            with torch.no_grad():
                one = task.as_one(output) if task.training else output
                statistics = with_weight(task.watch(one, **batch.targets), weight)
        # what is kept is not divided among parts of a step: `reduce` counts units
        if not self.is_ascended:
            results.add(Samples.of_step(step, self.global_rank, loss, units, statistics))
        return loss.sum() / units.sum() if weight is None else mean_loss(loss, units)


def task_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Weights and buffers (K, ...) of the task in a checkpoint, by the names that the task has."""
    state: dict[str, Tensor] = checkpoint["state_dict"]
    return {name.removeprefix("task."): values for name, values in state.items()}

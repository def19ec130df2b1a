"""One training step for all tasks; a task says what loss, prediction and scores are.

Letters: B batch, N samples of an epoch, K classes, T steps of the horizon.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn

from goodfit.contract import Batch, DataSpec
from goodfit.records import Answer, Chart

Array = np.ndarray[Any, Any]
Score = Callable[[Tensor, Tensor], Tensor]
Partial = Callable[..., Any]  # a function that waits for its first argument


class StepResult(NamedTuple):
    """What one step of an epoch gave on one rank: predictions and targets (B, ...), the mean loss
    (1,).
    """

    step: int
    rank: int
    prediction: Tensor
    target: Tensor
    loss: Tensor

    def to(self, device: torch.device | str) -> StepResult:
        """The same, with its tensors on `device`."""
        tensors = (self.prediction.to(device), self.target.to(device), self.loss.to(device))
        return StepResult(self.step, self.rank, *tensors)


class Task(pl.LightningModule):
    """A network with its meaning; never looks into `batch.inputs`.

    `scores` names every score with its better direction; `kinds` are the targets it is for. A score
    of an epoch is computed once from all its predictions, so it is exact and costs nothing in a
    step.
    """

    kinds: ClassVar[tuple[str, ...]]
    scores: ClassVar[dict[str, str]]

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__()
        self.model, self.spec, self.monitor, self.score = model, spec, monitor, score
        self._optimizer, self._schedule = optimizer, schedule
        self._divided = False
        self._results: dict[str, list[StepResult]] = {"train": [], "val": []}

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """What the output says about the target, in the target's unit: probabilities (B, K),
        numbers (B,), ...
        """

    @abstractmethod
    def metrics(self) -> dict[str, Score]:
        """A function (predictions, targets) -> scalar for each of `scores`."""

    @abstractmethod
    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Predictions as a table that a person can read, one row for each sample."""

    @property
    @abstractmethod
    def asked(self) -> str:
        """What the network is asked for, in a few words: "10 classes"."""

    @abstractmethod
    def trivial(self, train: Array, inputs: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """What one knows without a model, by name: a network that is worse has learned nothing.

        `train` are the targets of train, `inputs` those of the `samples` to answer; each answer has
        the form of `predict`.
        """

    @abstractmethod
    def diagnose(self, predictions: Mapping[str, Tensor], target: Tensor) -> list[Chart]:
        """Pictures of where the network errs on test samples.

        `predictions` hold every method's by title: the network's first, as "network", then the
        strong baseline's, then the trivial ones'.
        """

    def typical(self, predictions: Mapping[str, Tensor], target: Tensor) -> list[Chart]:
        """Pictures of samples that are neither the best nor the worst; none by default."""
        return []

    @abstractmethod
    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """Truth and prediction of one sample as a reader understands them."""

    def configure_model(self) -> None:
        """Under trainer=fsdp each child of the network, and then the whole, is divided among the
        devices.
        """
        mesh = getattr(self, "_device_mesh", None)
        if mesh is None or self._divided:
            return
        from torch.distributed.fsdp import fully_shard

        for child in self.model.children():
            if next(child.parameters(), None) is not None and not isinstance(child, nn.ModuleList):
                fully_shard(child, mesh=mesh["data_parallel"])
        fully_shard(self.model, mesh=mesh["data_parallel"])
        self._divided = True

    def forward(self, **inputs: Tensor) -> Tensor:
        """The network's raw output."""
        output: Tensor = self.model(**inputs)
        return output

    def training_step(self, batch: Batch, step: int) -> Tensor:
        """Loss of one batch; of a shared one, so weighted that the mean over all shares is the
        whole batch's.
        """
        output = self.model(**batch.inputs)
        loss = self.loss(output, batch.target)
        self._keep("train", step, output, loss, batch)
        return loss if batch.weight == 1.0 else loss * batch.weight

    def validation_step(self, batch: Batch, step: int) -> None:
        """Keeps predictions; nothing is reduced before the epoch is over."""
        output = self.model(**batch.inputs)
        self._keep("val", step, output, self.loss(output, batch.target), batch)

    def on_train_epoch_start(self) -> None:
        """An epoch starts with no results."""
        self._results["train"].clear()

    def on_validation_epoch_start(self) -> None:
        """An epoch starts with no results."""
        self._results["val"].clear()

    def on_validation_epoch_end(self) -> None:
        """Scores of both splits: Lightning validates inside the training epoch, after its last
        step.
        """
        row = self.reduce("val")
        if self._results["train"]:
            row |= self.reduce("train")
            row["gap/loss"] = row["val/loss"] - row["train/loss"]
        self._results["train"].clear()
        self.log_dict(row, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the epoch has given so far belongs to its scores, also after a resume."""
        checkpoint["results"] = [tuple(result) for result in gather_results(self._results["train"])]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """All ranks' results go to the first; the scores of the epoch gather them again."""
        results = [StepResult(*result) for result in checkpoint["results"]]
        self._results["train"] = results if self.global_rank == 0 else []

    def reduce(self, split: str) -> dict[str, float]:
        """Loss and scores of all predictions since the epoch began, those of other ranks among
        them.
        """
        # what a checkpoint has brought back lies on the CPU
        results = [result.to(self.device) for result in gather_results(self._results[split])]
        sizes = torch.tensor([len(result.target) for result in results], device=self.device)
        losses = torch.cat([result.loss for result in results])
        predictions = torch.cat([result.prediction for result in results])
        targets = torch.cat([result.target for result in results])

        row = {f"{split}/loss": float((losses * sizes).sum() / sizes.sum())}
        for name, score in self.metrics().items():
            row[f"{split}/{name}"] = float(score(predictions, targets))
        return row

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the configuration; the schedule moves with every step."""
        optimizer = self._optimizer(self.model.parameters())
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = self._schedule(optimizer, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def mode(self, name: str) -> str:
        """Whether a score is better when it is "max" or "min"."""
        return "min" if name == "loss" else self.scores[name]

    def _keep(self, split: str, step: int, output: Tensor, loss: Tensor, batch: Batch) -> None:
        prediction = self.predict(output.detach())
        loss = loss.detach().reshape(1)
        result = StepResult(step, self.global_rank, prediction, batch.target, loss)
        self._results[split].append(result)


def gather_results(results: list[StepResult]) -> list[StepResult]:
    """Those of all ranks, in the order of steps and ranks, so that sums do not depend on who kept
    what.
    """
    if not dist.is_initialized():
        return results
    by_rank: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(by_rank, [result.to("cpu") for result in results])
    device = results[0].loss.device if results else torch.device("cpu")
    everywhere = [result for share in by_rank for result in share]
    everywhere.sort(key=lambda result: (result.step, result.rank))
    return [result.to(device) for result in everywhere]

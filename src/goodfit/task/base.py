"""One training step for all tasks; a task says what loss, prediction and scores are.

Letters: B batch, N samples of an epoch or a split, K classes, T steps of the horizon. Outputs of a
network are (B, K) logits, (B, 1) numbers or (B, T) series; targets (B,), (B,) or (B, T).
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
    """One step of an epoch on one rank: predictions (B, ...), targets (B, ...), mean loss (1,)."""

    step: int
    rank: int
    prediction: Tensor
    target: Tensor
    loss: Tensor

    def to(self, device: torch.device | str) -> StepResult:
        """The same, with its tensors on `device`."""
        return self._replace(
            prediction=self.prediction.to(device),
            target=self.target.to(device),
            loss=self.loss.to(device),
        )


class Task(pl.LightningModule):
    """A network with the meaning of its output; never looks into `batch.inputs`.

    `scores` gives the direction, "max" or "min", in which each score improves; `kinds` are the
    kinds of target that the task fits. A score of an epoch is computed once, from all its
    predictions, so it is exact and costs nothing in a step (docs/decisions/0004).
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
        self.model = model
        self.spec = spec
        self.monitor = monitor
        self.score = score
        self._optimizer = optimizer
        self._schedule = schedule
        self._sharded = False
        self._results: dict[str, list[StepResult]] = {"train": [], "val": []}

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """The mean loss () of a batch, of outputs (B, ...) against targets (B, ...)."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Outputs (B, ...) in the target's unit: probabilities (B, K), numbers (B,), series (B, T).

        In float32, also where the network computes in 16 bits.
        """

    @abstractmethod
    def metrics(self) -> dict[str, Score]:
        """A function (predictions, targets) -> score () for each of `scores`, by its name.

        Predictions and targets are (N, ...); N is an epoch, a split or a resampled test set.
        """

    @abstractmethod
    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Predictions (N, ...) as a table that a person can read, one row for each sample."""

    @property
    @abstractmethod
    def asked(self) -> str:
        """What the network is asked for, in a few words: "10 classes"."""

    @abstractmethod
    def trivial(self, train: Array, inputs: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """Predictions without a model, by name: a network that is worse has learned nothing.

        `train` (N, ...) are the targets of train, `inputs` (samples, ...) belong to the samples to
        answer. An answer has the form of `predict`, (samples, ...), and depends on nothing else.
        """

    @abstractmethod
    def diagnose(self, predictions: Mapping[str, Tensor], target: Tensor) -> list[Chart]:
        """The numbers behind charts of where the network errs on test samples.

        `predictions` (N, ...) are every method's, by title: the network's first, as "network", then
        the strong baseline's, then the trivial ones'; `target` (N, ...) is the truth.
        """

    def typical(self, predictions: Mapping[str, Tensor], target: Tensor) -> list[Chart]:
        """Charts of samples that are neither the best nor the worst; none by default.

        The arguments, all (N, ...), are those of `diagnose`.
        """
        return []

    @abstractmethod
    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """Truth and prediction of one sample for a reader, from one row of (N, ...) each: (...)."""

    def configure_model(self) -> None:
        """Under trainer=fsdp each child of the network, and then the whole, is sharded.

        Lightning calls this hook once for each stage, so only the first call shards.
        """
        mesh = getattr(self, "_device_mesh", None)  # set by Lightning's ModelParallelStrategy alone
        if mesh is None or self._sharded:
            return
        from torch.distributed.fsdp import fully_shard

        for child in self.model.children():
            has_parameters = next(child.parameters(), None) is not None
            # fully_shard refuses a ModuleList: it has no forward to gather parameters for
            if has_parameters and not isinstance(child, nn.ModuleList):
                fully_shard(child, mesh=mesh["data_parallel"])
        fully_shard(self.model, mesh=mesh["data_parallel"])
        self._sharded = True

    def forward(self, **inputs: Tensor) -> Tensor:
        """The network's raw output, (B, ...), of inputs (B, ...)."""
        output: Tensor = self.model(**inputs)
        return output

    def training_step(self, batch: Batch, step: int) -> Tensor:
        """The loss () to minimize: the batch's mean, times the weight of a shared batch.

        A batch that is split among devices or micro-batches is weighted so that the mean over its
        parts is the mean of the whole.
        """
        output = self.model(**batch.inputs)
        loss = self.loss(output, batch.target)
        self._keep("train", step, output, loss, batch)
        # what is kept is unweighted: `reduce` weights it by its samples
        return loss if batch.weight == 1.0 else loss * batch.weight

    def validation_step(self, batch: Batch, step: int) -> None:
        """Keeps predictions; nothing is reduced before the epoch ends."""
        output = self.model(**batch.inputs)
        self._keep("val", step, output, self.loss(output, batch.target), batch)

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
        if self._results["train"]:  # empty where a trainer only validates
            row |= self.reduce("train")
            row["gap/loss"] = row["val/loss"] - row["train/loss"]
        self._results["train"].clear()
        # size one: the row is the whole epoch's, so there is no mean over batches to weight
        self.log_dict(row, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the results of the epoch so far: its scores need them after a resume."""
        # plain tuples: a checkpoint is read with weights_only, which refuses other classes
        checkpoint["results"] = [tuple(result) for result in gather_results(self._results["train"])]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores results, all ranks' on the first; `reduce` gathers them again."""
        results = [StepResult(*result) for result in checkpoint["results"]]
        self._results["train"] = results if self.global_rank == 0 else []

    def reduce(self, split: str) -> dict[str, float]:
        """Loss and scores of all ranks' predictions since the epoch began, by name."""
        # what a checkpoint restored lies on the CPU
        results = [result.to(self.device) for result in gather_results(self._results[split])]
        sizes = torch.tensor([len(result.target) for result in results], device=self.device)
        losses = torch.cat([result.loss for result in results])
        predictions = torch.cat([result.prediction for result in results])
        targets = torch.cat([result.target for result in results])

        # a mean of means would count the samples of a smaller last batch too much
        row = {f"{split}/loss": float((losses * sizes).sum() / sizes.sum())}
        for name, score in self.metrics().items():
            row[f"{split}/{name}"] = float(score(predictions, targets))
        return row

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the configuration; the schedule advances at every step."""
        optimizer = self._optimizer(self.model.parameters())
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = self._schedule(optimizer, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def mode(self, name: str) -> str:
        """The direction in which a score improves: "max" or "min"."""
        return "min" if name == "loss" else self.scores[name]

    def _keep(self, split: str, step: int, output: Tensor, loss: Tensor, batch: Batch) -> None:
        # detached: a graph would keep the activations of every step until the epoch ends
        prediction = self.predict(output.detach())
        loss = loss.detach().reshape(1)
        result = StepResult(step, self.global_rank, prediction, batch.target, loss)
        self._results[split].append(result)


def gather_results(results: list[StepResult]) -> list[StepResult]:
    """The results of all ranks, sorted by step and rank.

    In a fixed order, so that sums of floats do not depend on which rank kept what.
    """
    if not dist.is_initialized():
        return results
    by_rank: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(by_rank, [result.to("cpu") for result in results])

    device = results[0].loss.device if results else torch.device("cpu")
    gathered = [result for rank_results in by_rank for result in rank_results]
    gathered.sort(key=lambda result: (result.step, result.rank))
    return [result.to(device) for result in gathered]

"""One training step for all tasks; a task says what loss, prediction and scores are.

Letters: B batch, N samples of an epoch, K classes, T steps of the horizon.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import pandas as pd
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn

from goodfit.contract import Batch, DataSpec

Score = Callable[[Tensor, Tensor], Tensor]
Partial = Callable[..., Any]  # a function that waits for its first argument
Seen = tuple[int, int, Tensor, Tensor, Tensor]  # step, rank, predictions, targets, loss


class Task(pl.LightningModule):
    """A network with its meaning; never looks into `batch.inputs`.

    `scores` names every score with its better direction; `kinds` are the targets it is for. A score of an
    epoch is computed once from all its predictions, so it is exact and costs nothing in a step.
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
        self._seen: dict[str, list[Seen]] = {"train": [], "val": []}

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """What the output says about the target, in the target's unit: probabilities (B, K), numbers (B,), ..."""

    @abstractmethod
    def metrics(self) -> dict[str, Score]:
        """A function (predictions, targets) -> scalar for each of `scores`."""

    @abstractmethod
    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Predictions as a table that a person can read, one row for each sample."""

    def configure_model(self) -> None:
        """Under trainer=fsdp each child of the network, and then the whole, is divided among the devices."""
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
        """Loss of one batch; of a shared one, so weighted that the mean over all shares is the whole batch's loss."""
        output = self.model(**batch.inputs)
        loss = self.loss(output, batch.target)
        self._keep("train", step, output, loss, batch)
        return loss if batch.weight == 1.0 else loss * batch.weight

    def validation_step(self, batch: Batch, step: int) -> None:
        """Keeps predictions; nothing is reduced before the epoch is over."""
        output = self.model(**batch.inputs)
        self._keep("val", step, output, self.loss(output, batch.target), batch)

    def on_train_epoch_start(self) -> None:
        """An epoch starts with nothing seen."""
        self._seen["train"].clear()

    def on_validation_epoch_start(self) -> None:
        """An epoch starts with nothing seen."""
        self._seen["val"].clear()

    def on_validation_epoch_end(self) -> None:
        """Scores of both splits: Lightning validates inside the training epoch, after its last step."""
        row = self.reduce("val")
        if self._seen["train"]:
            row |= self.reduce("train")
            row["gap/loss"] = row["val/loss"] - row["train/loss"]
        self._seen["train"].clear()
        self.log_dict(row, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What the epoch has seen so far belongs to its scores, also after a resume."""
        checkpoint["seen"] = gathered(self._seen["train"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """All devices' share goes to the first; the scores of the epoch gather them again."""
        self._seen["train"] = list(checkpoint["seen"]) if self.global_rank == 0 else []

    def reduce(self, split: str) -> dict[str, float]:
        """Loss and scores of all predictions since the epoch began, those of other devices among them."""
        seen = gathered(self._seen[split])
        sizes = torch.tensor([len(one[3]) for one in seen], device=self.device)
        columns = list(zip(*(one[2:] for one in seen), strict=True))
        # what a checkpoint has brought back lies on the CPU
        predictions, targets, losses = (torch.cat([part.to(self.device) for part in column]) for column in columns)
        row = {f"{split}/loss": float((losses * sizes).sum() / sizes.sum())}
        row |= {f"{split}/{name}": float(score(predictions, targets)) for name, score in self.metrics().items()}
        return row

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the configuration; the schedule moves with every step."""
        optimizer = self._optimizer(self.model.parameters())
        schedule = self._schedule(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def mode(self, name: str) -> str:
        """Whether a score is better when it is "max" or "min"."""
        return "min" if name == "loss" else self.scores[name]

    def _keep(self, split: str, step: int, output: Tensor, loss: Tensor, batch: Batch) -> None:
        one = (step, self.global_rank, self.predict(output.detach()), batch.target, loss.detach().reshape(1))
        self._seen[split].append(one)


def gathered(seen: list[Seen]) -> list[Seen]:
    """The shares of all devices, in the order of steps and ranks, so that sums do not depend on who kept what."""
    if not dist.is_initialized():
        return seen
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, [(*one[:2], *(each.cpu() for each in one[2:])) for one in seen])
    device = seen[0][2].device if seen else torch.device("cpu")
    ordered = sorted((one for share in found for one in share), key=lambda one: one[:2])
    return [(*one[:2], *(each.to(device) for each in one[2:])) for one in ordered]

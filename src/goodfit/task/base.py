"""One training step for all tasks; a task says what loss, prediction and scores are.

Letters: B batch, N samples of an epoch, K classes, T steps of the horizon.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from goodfit.contract import Batch, DataSpec
from goodfit.errors import NonFiniteLossError

Score = Callable[[Tensor, Tensor], Tensor]
Partial = Callable[..., Any]  # a function that waits for its first argument


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
        self._seen: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {"train": [], "val": []}

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

    def forward(self, **inputs: Tensor) -> Tensor:
        """The network's raw output."""
        output: Tensor = self.model(**inputs)
        return output

    def training_step(self, batch: Batch, step: int) -> Tensor:
        """Loss of one batch; raises NonFiniteLossError before the weights can be touched."""
        output = self.model(**batch.inputs)
        loss = self.loss(output, batch.target)
        if not math.isfinite(loss.item()):  # one synchronisation; torch.isfinite is 20 times as slow
            ids = ", ".join(map(str, batch.rows[:10].tolist()))
            raise NonFiniteLossError(
                f"non-finite loss ({loss.item()}) at epoch {self.current_epoch} step {step}, before the optimizer "
                f"step; training samples [{ids}{', ...' if len(batch.rows) > 10 else ''}]. "
                "Try a smaller optimizer.lr or trainer.gradient_clip_val."
            )
        self._keep("train", output, loss, batch)
        return loss

    def validation_step(self, batch: Batch, step: int) -> None:
        """Keeps predictions; nothing is reduced before the epoch is over."""
        output = self.model(**batch.inputs)
        self._keep("val", output, self.loss(output, batch.target), batch)

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
        self.log_dict(row, batch_size=1)

    def reduce(self, split: str) -> dict[str, float]:
        """Loss and scores of all predictions since the epoch began."""
        predictions, targets, losses = (torch.cat(column) for column in zip(*self._seen[split], strict=True))
        sizes = torch.tensor([len(target) for _, target, _ in self._seen[split]], device=losses.device)
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

    def _keep(self, split: str, output: Tensor, loss: Tensor, batch: Batch) -> None:
        self._seen[split].append((self.predict(output.detach()), batch.target, loss.detach().reshape(1)))

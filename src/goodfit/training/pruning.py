"""A training that reports each validation, and ends early where the answer says so."""

from __future__ import annotations

from typing import Any, Protocol

import pytorch_lightning as pl
from typing_extensions import override

from goodfit.errors import PrunedError
from goodfit.task.base import Task


class Judge(Protocol):
    """Whoever decides about a trial of a sweep."""

    def admit(self, parameters: int) -> str | None:
        """The constraint that a network of so many parameters breaks, None where it may be trained."""

    def report(self, value: float, validation: int) -> bool:
        """Hears of the score of a validation, counted from zero; whether the training should end."""


class Pruning(pl.Callback):
    """Tells the judge of each validation; all ranks end together, on the word of rank 0.

    `judge` is None on the other ranks.

    Raises:
        PrunedError: before the first step, or before the step after a validation.
    """

    def __init__(self, judge: Judge | None) -> None:
        self.judge = judge
        self._validations = 0
        self._reason: str | None = None

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The number of parameters is known now; a constraint on it is kept before the first step."""
        broken = None
        if self.judge:
            broken = self.judge.admit(sum(p.numel() for p in pl_module.parameters()))
        broken = trainer.strategy.broadcast(broken)
        if broken:
            raise PrunedError(f"not tried: {broken} does not hold")

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Task)
        value = float(trainer.callback_metrics[f"val/{pl_module.monitor}"])
        stop = self.judge is not None and self.judge.report(value, self._validations)
        self._validations += 1
        reason = f"at epoch {trainer.current_epoch + 1}" if stop else None
        self._reason = trainer.strategy.broadcast(reason)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Where there is a next step: after its last epoch, or stopped early, a training is
        complete.
        """
        if self._reason:
            raise PrunedError(self._reason)

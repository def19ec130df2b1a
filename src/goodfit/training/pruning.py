"""Pruning: a trial of a sweep ends early where its scores say that it is not worth going on."""

from __future__ import annotations

from typing import Any, Protocol

import pytorch_lightning as pl
from typing_extensions import override

from goodfit.errors import PrunedError
from goodfit.training.lightning_task import LightningTask


class Judge(Protocol):
    """Whoever decides whether a trial of a sweep goes on."""

    def admit(self, parameters: int) -> str | None:
        """The constraint that a network of so many parameters breaks, None where all hold."""

    def report(self, value: float, validation: int) -> bool:
        """Takes the score of a validation, counted from zero; true where the trial should end."""


class Pruning(pl.Callback):
    """Reports each validation to the judge, and ends the training on all ranks where it says so.

    Rank 0 has the judge and broadcasts its verdicts; on the other ranks `judge` is None.

    Raises:
        PrunedError: before the first step, or before the step after a validation.
    """

    def __init__(self, judge: Judge | None) -> None:
        self.judge = judge
        self._validations = 0
        self._reason: str | None = None  # to end before the next step

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A constraint on the number of parameters is kept before the first step."""
        violated = None
        if self.judge:
            violated = self.judge.admit(sum(weight.numel() for weight in pl_module.parameters()))
        # a collective call: a rank that left it out would keep the others waiting
        violated = trainer.strategy.broadcast(violated)
        if violated:
            raise PrunedError(f"not tried: {violated} does not hold")

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, LightningTask)
        value = float(trainer.callback_metrics[f"val/{pl_module.task.monitor}"])
        stop = self.judge is not None and self.judge.report(value, self._validations)
        self._validations += 1
        reason = f"at epoch {trainer.current_epoch + 1}" if stop else None
        self._reason = trainer.strategy.broadcast(reason)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends it before the next step; after the last one a training is complete."""
        if self._reason:
            raise PrunedError(self._reason)

"""A training as a trial of a sweep: it reports each validation, and ends early where the pruner says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from typing_extensions import override

from goodfit.errors import PrunedError
from goodfit.launch import fit
from goodfit.sweep import parent
from goodfit.task.base import Task
from hydra_plugins.hydra_optuna_sweeper import trial as trials

if TYPE_CHECKING:
    import optuna


def objective(cfg: DictConfig, overrides: Sequence[str]) -> float:
    """Trains as the current trial; returns the monitored validation score of the weights that were best.

    Raises:
        optuna.TrialPruned: a constraint does not hold, or the pruner has seen enough.
    """
    trial = trials.current()  # of several ranks, rank 0 has it
    tags = _tags(trial, str(cfg.tracking.uri)) if trial else {}
    if trial and not cfg.tracking.run_name:
        cfg.tracking.run_name = _name(trial, overrides)
    try:
        return fit(cfg, overrides=overrides, tags=tags, keep=False).score
    except PrunedError as stop:
        if trial is None:
            raise
        raise trials.prune(trial, str(stop)) from None


class Pruning(pl.Callback):
    """Tells the trial of each validation; all ranks end together, on the word of rank 0."""

    def __init__(self, trial: optuna.Trial | None) -> None:
        self.trial = trial
        self._validations, self._reason = 0, ""

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The number of parameters is known now; a constraint on it is kept before the first step."""
        broken = ""
        if self.trial:
            broken = trials.admit(self.trial, parameters=sum(p.numel() for p in pl_module.parameters()))
        if said := trainer.strategy.broadcast(broken):
            raise PrunedError(f"not tried: {said} does not hold")

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Task)
        if trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics[f"val/{pl_module.monitor}"])
        stop = self.trial is not None and trials.report(self.trial, value, self._validations)
        self._validations += 1
        self._reason = trainer.strategy.broadcast(f"at epoch {trainer.current_epoch + 1}" if stop else "")

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Where there is a next step: after its last epoch, or stopped early, a training is complete."""
        if self._reason:
            raise PrunedError(self._reason)


def _tags(trial: optuna.Trial, uri: str) -> dict[str, str]:
    """The trial's run is nested in the sweep's."""
    tags = {"goodfit.trial": str(trial.number), "goodfit.study": trial.study.study_name}
    found = parent(trial.study, uri)
    return tags | ({"mlflow.parentRunId": found} if found else {})


def _name(trial: optuna.Trial, overrides: Sequence[str]) -> str:
    """The run's name: what makes the trial differ from its neighbours."""
    if "repeats" in trial.study.user_attrs:
        return f"again: {', '.join(item for item in overrides if not item.startswith(('experiment=', 'search=')))}"
    shown = {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in trial.params.items()}
    return f"trial {trial.number}: {', '.join(f'{key}={value}' for key, value in shown.items())}"

"""A sweep's trial as the judge of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra_plugins.hydra_optuna_sweeper import trial as trials

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class TrialJudge:
    """Keeps the sweep's constraints, and asks its pruner after each validation."""

    trial: optuna.Trial

    def admit(self, parameters: int) -> str | None:
        """The constraint that a network of so many parameters breaks."""
        return trials.admit(self.trial, parameters=parameters)

    def report(self, value: float, validation: int) -> bool:
        """Whether the pruner has seen enough."""
        return trials.report(self.trial, value, validation)


def current_judge() -> TrialJudge | None:
    """The judge of the trial that this process works on; None on ranks other than the first."""
    trial = trials.current()
    return TrialJudge(trial) if trial is not None else None

"""The judge of a training that is a trial of a sweep."""

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
        """The constraint that a network of so many parameters breaks, None where all hold."""
        return trials.admit(self.trial, parameters=parameters)

    def report(self, value: float, validation: int) -> bool:
        """Takes the score of a validation, counted from zero; true where the trial should end."""
        return trials.report(self.trial, value, validation)


def current_judge() -> TrialJudge | None:
    """The judge of this process's trial; None outside a sweep, and on ranks other than 0."""
    trial = trials.current()
    return TrialJudge(trial) if trial is not None else None

"""A training as a trial of a sweep: its score is the trial's value, its run is nested in the
sweep's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from goodfit.errors import PrunedError
from goodfit.launch.fit import fit
from goodfit.search.listener import parent
from hydra_plugins.hydra_optuna_sweeper import trial as trials

if TYPE_CHECKING:
    import optuna


def objective(cfg: DictConfig, overrides: Sequence[str]) -> float | None:
    """Trains as the current trial; gives the monitored validation score of the weights that were
    best.

    None on a machine that is not the training's first: the trial's value is the first one's.

    Raises:
        optuna.TrialPruned: a constraint does not hold, or the pruner has seen enough.
    """
    trial = trials.current()  # of several ranks, rank 0 has it
    tags = {}
    if trial:
        tags = _tags(trial, str(cfg.tracking.uri))
        name = cfg.tracking.run_name or _name(trial, overrides)
        cfg = OmegaConf.merge(cfg, {"tracking": {"run_name": name}})  # type: ignore[assignment]
    try:
        trained = fit(cfg, overrides=overrides, tags=tags, keep=False)
    except PrunedError as stop:
        if trial is None:
            raise
        raise trials.prune(trial, str(stop)) from None
    return trained.score if trained else None


def _tags(trial: optuna.Trial, uri: str) -> dict[str, str]:
    """The trial's run is nested in the sweep's."""
    tags = {"goodfit.trial": str(trial.number), "goodfit.study": trial.study.study_name}
    parent_run = parent(trial.study, uri)
    if parent_run:
        tags["mlflow.parentRunId"] = parent_run
    return tags


def _name(trial: optuna.Trial, overrides: Sequence[str]) -> str:
    """The run's name: what makes the trial differ from its neighbours."""
    if "repeats" in trial.study.user_attrs:
        changed = [item for item in overrides if not item.startswith(("experiment=", "search="))]
        return f"again: {', '.join(changed)}"
    values = [f"{key}={_short(value)}" for key, value in trial.params.items()]
    return f"trial {trial.number}: {', '.join(values)}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

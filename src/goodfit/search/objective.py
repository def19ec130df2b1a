"""A training as a trial of a sweep: its score is the trial's value, its run is in the sweep's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from goodfit.errors import PrunedError
from goodfit.launch.fit import fit
from goodfit.search.listener import parent_run_id
from goodfit.tracking.run_name import changed
from hydra_plugins.hydra_optuna_sweeper import trial as trials

if TYPE_CHECKING:
    import optuna


def objective(cfg: DictConfig, overrides: Sequence[str]) -> float | None:
    """The monitored validation score of the best weights, trained as the current trial.

    None on a machine that is not the training's first: the trial's value is the first one's.
    Outside a sweep it is a training like any other, whose files are not kept.

    Raises:
        optuna.TrialPruned: a constraint does not hold, or the pruner ends the trial.
    """
    trial = trials.current()  # None on ranks other than the first
    tags = {}
    if trial:
        tags = _tags(trial, str(cfg.tracking.uri))
        name = cfg.tracking.run_name or _name(trial, overrides)
        cfg = OmegaConf.merge(cfg, {"tracking": {"run_name": name}})  # type: ignore[assignment]
    try:
        trained = fit(cfg, overrides=overrides, tags=tags, keep=False)
    except PrunedError as error:
        if trial is None:
            raise
        raise trials.prune(trial, str(error)) from None
    return trained.score if trained else None


def _tags(trial: optuna.Trial, uri: str) -> dict[str, str]:
    """Which trial the run is; with them it is nested in the sweep's run."""
    is_repetition = "repeats" in trial.study.user_attrs
    tags = {
        "goodfit.trial": str(trial.number),
        "goodfit.study": trial.study.study_name,
        "goodfit.started_by": "confirmation" if is_repetition else "trial",
    }
    parent = parent_run_id(trial.study, uri)
    if parent:
        tags["mlflow.parentRunId"] = parent
    return tags


def _name(trial: optuna.Trial, overrides: Sequence[str]) -> str:
    """The run's name: the values that the trial has chosen."""
    if "repeats" in trial.study.user_attrs:
        return f"again: {changed(overrides)}"
    values = [f"{key}={_short(value)}" for key, value in trial.params.items()]
    return f"trial {trial.number}: {', '.join(values)}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""A training as a trial of a sweep: its score is the trial's value, its run is in the sweep's."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from goodfit.errors import PrunedError, UserError
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.records import Training
from goodfit.search.listener import parent_run_id
from goodfit.tracking import attach, runs
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
        with tempfile.TemporaryDirectory() as folder:
            # a trial that is no confirmation is compared by its score, and leaves no weights
            out = Path(folder) / "model" if trial and _is_repetition(trial) else None
            trained = fit(cfg, overrides=overrides, tags=tags, keep=False, out=out)
            if trained and trained.folder:
                _judge(cfg, trained.folder)
    except PrunedError as error:
        if trial is None:
            raise
        raise trials.prune(trial, str(error)) from None
    return trained.score if trained else None


def _judge(cfg: DictConfig, model: Path) -> None:
    """Keeps with the run of a confirmation how well its network fits."""
    from goodfit.evaluation.fit import judged  # imports torch, which a launcher does not need
    from goodfit.predictor import Predictor

    try:
        data = Paths(str(cfg.name)).prepared
        judgement = judged(cfg, data, model, Predictor.load(model), strong=None)
        run = runs.find(str(cfg.tracking.uri), Training.read(model / "train.json").run_id)
        if judgement and run:
            attach.log_fit(run, judgement)
    except UserError as error:  # its score stands, whether or not the fit can be told
        print(f"the run does not hold how well it fits: {error}", flush=True)


def _is_repetition(trial: optuna.Trial) -> bool:
    """Whether a sweep confirms its best trials with it."""
    return "repeats" in trial.study.user_attrs


def _tags(trial: optuna.Trial, uri: str) -> dict[str, str]:
    """Which trial the run is; with them it is nested in the sweep's run."""
    tags = {
        "goodfit.trial": str(trial.number),
        "goodfit.study": trial.study.study_name,
        "goodfit.started_by": "confirmation" if _is_repetition(trial) else "trial",
    }
    parent = parent_run_id(trial.study, uri)
    if parent:
        tags["mlflow.parentRunId"] = parent
    return tags


def _name(trial: optuna.Trial, overrides: Sequence[str]) -> str:
    """The run's name: the values that the trial has chosen."""
    if _is_repetition(trial):
        return f"again: {changed(overrides)}"
    values = [f"{key}={_short(value)}" for key, value in trial.params.items()]
    return f"trial {trial.number}: {', '.join(values)}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

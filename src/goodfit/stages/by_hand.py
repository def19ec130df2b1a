"""Training by hand: from overrides on the command line, beside whatever DVC keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.provenance import checkout
from goodfit.stages.train import report_result
from goodfit.tracking import attach, runs
from hydra_plugins.hydra_optuna_sweeper import trial as trials


def by_hand(cfg: DictConfig, **repeats: Any) -> float | None:
    """`python pipelines/train.py ...`: the model goes to build/runs/<run>.

    With `repeats`, cv=5 or seeds=5, it is trained several times: see `repeats.train`.

    Returns the monitored validation score, which a sweep compares; None on a machine that is not
    the training's first. A trial of a sweep keeps no model: the winner is trained again by `dvc
    repro`.

    Raises:
        UserError: configuration or data do not fit.
        FailureError: the training could not be finished.
    """
    asked = {f"+{name}" for name in repeats}
    overrides = HydraConfig.get().overrides.task
    overrides = [each for each in overrides if each.partition("=")[0] not in asked]
    if trials.active():
        from goodfit.search.objective import objective  # only a trial needs all of search

        return objective(cfg, overrides)
    for note in checkout.notes():
        print(note, flush=True)
    if any(value is not None for value in repeats.values()):
        from goodfit.stages.repeated import repeated  # imports torch

        return repeated(cfg, overrides, **repeats)
    trained = fit(cfg, overrides=overrides)
    report_result(trained)
    if trained is None:
        return None
    if trained.folder:
        _judge(cfg, trained.folder)
    return trained.score


def _judge(cfg: DictConfig, model: Path) -> None:
    """Prints how well the network fits, and keeps it with the run."""
    # not before: of a launcher of several processes torch is not asked, nor of a trial
    from goodfit.evaluation.fit import judged
    from goodfit.predictor import Predictor
    from goodfit.reporting.fit import line

    judgement = judged(cfg, Paths(cfg.name).prepared, model, Predictor.load(model), strong=None)
    print(line(judgement), flush=True)
    if judgement is None:
        return
    try:
        run = attach.find_or_recreate(cfg, model)
        with runs.run_status(run):
            attach.log_fit(run, judgement)
    except UserError as error:  # the training is done, whether or not the database answers
        print(f"the run does not hold how well it fits: {error}", flush=True)

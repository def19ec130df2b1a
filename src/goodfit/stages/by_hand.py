"""Training by hand: from overrides on the command line, beside whatever DVC keeps."""

from __future__ import annotations

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from goodfit.launch.fit import fit
from goodfit.provenance import checkout
from goodfit.stages.train import report_result
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
        from goodfit.stages.repeated import (
            repeated,
        )  # imports torch, which a launcher does not need

        return repeated(cfg, overrides, **repeats)
    trained = fit(cfg, overrides=overrides)
    report_result(trained)
    return trained.score if trained else None

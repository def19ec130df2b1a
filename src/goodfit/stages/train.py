"""The stage train: the model goes to models/<experiment>."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.records import Trained
from goodfit.system import units


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the model goes to models/<experiment>.

    Raises:
        UserError: configuration or data do not fit.
        FailureError: the training could not be finished.
    """
    report_result(fit(cfg, out=Paths(cfg.name).model))


def report_result(trained: Trained | None) -> None:
    """Prints a line about what a training gave; nothing on a machine that is not its first."""
    if trained is None:
        return
    score = units.number(trained.score, 4)
    print(
        f"{trained.monitor} {score} with the weights kept in {trained.folder}; run {trained.run_id}"
    )

"""The stage fetch: the raw file, as it was published."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit import build
from goodfit.paths import Paths
from goodfit.store.fetch import fetch


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the raw file to data/raw/<experiment>.

    Raises:
        UserError: the file can be had nowhere, or is not the pinned one.
    """
    fetch(build.source(cfg), Paths(cfg.name).raw)

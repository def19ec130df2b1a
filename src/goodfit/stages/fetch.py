"""The stage fetch: the raw files, as they were published."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit import build
from goodfit.paths import Paths
from goodfit.store.fetch import fetch


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the file of each source to data/raw/<experiment>.

    Raises:
        UserError: a file can be had nowhere, or is not the pinned one.
    """
    fetch(build.sources(cfg), Paths(cfg.name).raw)

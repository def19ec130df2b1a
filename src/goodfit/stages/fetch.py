"""The stage fetch: the raw file, as it was published."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from goodfit.paths import Paths
from goodfit.schema import Source
from goodfit.store.fetch import fetch


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the raw file to data/raw/<experiment>.

    Raises:
        UserError: the file can be had nowhere, or is not the pinned one.
    """
    source = Source(**OmegaConf.to_container(cfg.data.source))  # type: ignore[arg-type]
    fetch(source, Paths(cfg.name).raw)

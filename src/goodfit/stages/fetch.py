"""The stage fetch: the raw files and pretrained weights, as they were published."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit import build
from goodfit.paths import Paths
from goodfit.store.fetch import fetch, fetch_weights


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the file of each source to data/raw/<experiment>; weights to data/pretrained.

    Weights are no output of it: a training brings them itself where they are not there.

    Raises:
        UserError: a file can be had nowhere, or is not the pinned one.
    """
    fetch(build.sources(cfg), Paths(cfg.name).raw)
    weights = build.pretrained(cfg).source
    if weights:
        fetch_weights(weights)

"""Which samples of train an experiment is trained on: all, or a share by `loader.share`.

Letters: N samples of train, M samples of the share.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from torch import Tensor

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.store.arrays import Packed
from goodfit.store.share import rows_of


def rows_of_train(cfg: DictConfig, folder: Path) -> Tensor | None:
    """The rows (M,) of train that are in the share, None for all.

    Units are drawn by `cfg.seed`. Of series, whose units are blocks of time, the latest are taken.
    """
    if cfg.loader.share == 1:
        return None
    spec = DataSpec.read(folder / "spec.json")
    clusters = Packed(folder, "train").clusters
    latest = build.data_class(spec).in_time
    return rows_of(clusters, cfg.loader.share, seed=int(cfg.seed), latest=latest)

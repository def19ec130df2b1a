"""The stage prepare: from the raw file to packed arrays."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from goodfit import build
from goodfit.config import tree
from goodfit.paths import Paths
from goodfit.store.prepare import prepare


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: data/raw/<experiment> to data/prepared/<experiment>.

    Raises:
        UserError: the raw file has faults.
    """
    paths = Paths(cfg.name)
    data = build.data_set(cfg)
    raw = paths.raw / Path(data.source.file).name
    manifest = prepare(data, raw, paths.prepared, made_with=tree.data_section(cfg))

    sizes = ", ".join(f"{split} {manifest.samples(split):,}" for split in manifest.counts)
    copies = manifest.copies.rows or "no"
    print(f"prepared {paths.prepared}: {sizes}; {copies} copies of other rows")

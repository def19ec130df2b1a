"""The stage prepare: from the raw files to packed arrays."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit import build
from goodfit.config import tree
from goodfit.paths import Paths
from goodfit.store.fetch import raw_files
from goodfit.store.prepare import prepare


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: data/raw/<experiment> to data/prepared/<experiment>.

    Raises:
        UserError: a raw file has faults.
    """
    paths = Paths(cfg.name)
    data = build.data_set(cfg)
    raw = raw_files(build.sources(cfg), paths.raw)
    manifest = prepare(data, raw, paths.prepared, made_with=tree.data_section(cfg))

    sizes = ", ".join(f"{split} {manifest.samples(split):,}" for split in manifest.counts)
    copies = manifest.copies.rows or "no"
    print(f"prepared {paths.prepared}: {sizes}; {copies} copies of other rows")

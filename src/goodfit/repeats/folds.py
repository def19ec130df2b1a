"""The prepared data of each fold, made by the code of prepare, and kept by their content."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from goodfit import build
from goodfit.config import tree
from goodfit.data.folds import Fold
from goodfit.paths import Paths
from goodfit.provenance.code import source_hashes, stage_roots
from goodfit.store.fetch import fetch, raw_files
from goodfit.store.prepare import prepare
from goodfit.system.files import file_lock, sha256

ROOT = Path("build/folds")


def prepared(cfg: DictConfig, count: int) -> list[Path]:
    """The folder of each of `count` folds; what the same data, options and code made is not redone.

    Means, labels and vocabularies are learned from each fold's own part of train. Raw files are
    fetched where they are not there.

    Raises:
        UserError: the data cannot be divided so, or a raw file can be had nowhere, or has faults.
    """
    sources, raw_folder = build.sources(cfg), Paths(cfg.name).raw
    raw = raw_files(sources, raw_folder)
    if not all(path.is_file() for path in raw.values()):
        fetch(sources, raw_folder)
    root = ROOT / cfg.name / _digest(cfg, raw, count)
    folders = [root / f"{number + 1}of{count}" for number in range(count)]
    with file_lock(root.with_name(f".{root.name}.lock")):  # another process may make the same
        if all((folder / "manifest.json").is_file() for folder in folders):
            return folders
        started = time.monotonic()
        for number, folder in enumerate(folders):
            if not (folder / "manifest.json").is_file():
                made_with, fold = tree.data_section(cfg), Fold(number, count)
                prepare(build.data_set(cfg), raw, folder, made_with=made_with, fold=fold)
    print(f"prepared {count} folds in {root} ({time.monotonic() - started:.1f} s)", flush=True)
    return folders


def _digest(cfg: DictConfig, raw: dict[str, Path], count: int) -> str:
    """The same where raw files, options and code of prepare, and the number of folds are."""
    content: Any = OmegaConf.to_container(cfg, resolve=True)
    decisive = {
        "raw": {name: sha256(path) for name, path in raw.items()},
        "data": tree.data_section(cfg),
        "code": source_hashes(stage_roots(content)["prepare"]),
        "folds": count,
    }
    text = json.dumps(decisive, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""The first stage: one file for each experiment that says all the others depend on."""

from __future__ import annotations

from pathlib import Path

import yaml
from omegaconf import OmegaConf

from goodfit.config import tree
from goodfit.config.check import check
from goodfit.config.compose import compose, tuned
from goodfit.errors import UserError, nearest
from goodfit.paths import Paths
from goodfit.provenance.code import digest, source_hashes, stage_roots
from goodfit.system.files import write_json


def write_composed(name: str) -> None:
    """Writes build/<name>.json: the resolved configuration, and under `code` a hash of what each
    stage runs.

    DVC compares the sections of this file that a stage names. It never sees conf/ itself, where one
    edit may concern one experiment, all or none. `sources` says what the hashes are made of; no
    stage names it, for DVC would copy it all into dvc.lock, and reading that took a third of a `dvc
    repro` with nothing to do.
    """
    options = [path.stem for path in Path("conf/experiment").glob("*.yaml")]
    if name not in options:
        raise UserError(f"params.yaml: experiment '{name}' does not exist.{nearest(name, options)}")
    params = yaml.safe_load(Path("params.yaml").read_text())
    overrides = (params.get("overrides") or {}).get(name) or []
    chosen = [f"experiment={name}", *overrides]
    if tuned(Path(), chosen):
        print(f"{name}: with conf/tuned/{name}.yaml, which a sweep wrote")
    content = tree.frozen(compose(Path(), chosen))
    cfg = OmegaConf.create(content)
    check(cfg)
    if content["name"] != name:
        raise UserError(
            f"conf/experiment/{name}.yaml has name: {content['name']}; expected name: {name}"
        )
    sources = {stage: source_hashes(roots) for stage, roots in stage_roots(content).items()}
    content |= {
        "code": {stage: digest(found) for stage, found in sources.items()},
        "sources": sources,
    }
    write_json(Paths(name).config, content)

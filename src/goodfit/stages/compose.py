"""The stage compose: one file for each experiment, which all other stages depend on.

Docs: docs/decisions/0001-one-composed-file.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from goodfit.cli import claimed
from goodfit.config import gallery, params, regularization
from goodfit.config.check import check
from goodfit.config.compose import compose, files, tuned
from goodfit.errors import UserError, nearest
from goodfit.paths import Paths
from goodfit.provenance.code import answering_digest, digest, source_hashes, stage_roots
from goodfit.system.files import write_json
from goodfit.system.names import check_experiment


def main() -> None:
    """`python pipelines/compose.py <experiment>`, as dvc.yaml calls it.

    Raises:
        UserError: the command line names no single experiment, or `write_composed` refuses it.
    """
    if len(sys.argv) != 2:
        raise UserError(
            "python pipelines/compose.py <experiment>: expected the name of one of conf/experiment/"
        )
    write_composed(sys.argv[1])


def write_composed(name: str) -> None:
    """Writes build/<name>.json: the resolved configuration, and a hash of what each stage runs.

    DVC compares the sections of this file that a stage names. It never sees conf/ itself, where one
    edit may concern one experiment, all or none. `sources` says what the hashes under `code` are
    made of; no stage names it, for DVC would copy it all into dvc.lock, and reading that took a
    third of a `dvc repro` with nothing to do.

    Raises:
        UserError: there is no such experiment, or params.yaml or its configuration has a mistake,
            or another process composes it at this moment.
    """
    check_experiment(name)
    known = gallery.known()
    if name not in known:
        raise UserError(f"params.yaml: experiment '{name}' does not exist.{nearest(name, known)}")

    with claimed("compose", name):
        _write(name)


def _write(name: str) -> None:
    content = _compose(name)
    if content["name"] != name:
        raise UserError(
            f"conf/experiment/{name}.yaml has name: {content['name']}; expected name: {name}"
        )
    sources = {stage: source_hashes(roots) for stage, roots in stage_roots(content).items()}
    code = {stage: digest(hashes) for stage, hashes in sources.items()}
    code["answers"] = answering_digest(content)
    write_json(Paths(name).config, content | {"code": code, "sources": sources})


def _compose(name: str) -> dict[str, Any]:
    """The experiment with its overrides of params.yaml, checked."""
    gallery.check_overridden()
    chosen = [f"experiment={name}", *params.overrides(name)]
    if tuned(Path(), chosen):
        print(f"{name}: with conf/tuned/{name}.yaml, which a sweep wrote")
    # frozen: what refers to the environment, such as a password, is not resolved into the file
    content, line = regularization.settled(compose(Path(), chosen), chosen)
    if line:
        print(f"{name}: {line}")
    gallery.check_watched(files(Path(), chosen), name)
    check(OmegaConf.create(content))
    return content

"""MLflow made to agree with the files that the stages left, whatever became of its database.

DVC takes stages for done whose runs and models this database never had: in a clone after `dvc
pull`, after the database was deleted, or rows of it.
Docs: docs/decisions/0028-registry-and-files.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.records import Evaluation, Registration, Training
from goodfit.system.files import read_json, sha256
from goodfit.tracking import lookup
from goodfit.tracking.database import locked, mend_places
from goodfit.tracking.lookup import MODEL_FILES, Found, Wanted, model_digest
from goodfit.tracking.overview import single_metric

if TYPE_CHECKING:
    from goodfit.tracking.runs import Run

RUN, EVALUATION, VERSION, CHAMPION = (
    "its run",
    "what its run lacked",
    "its version",
    "its alias champion",
)


def lacking(name: str) -> list[str]:
    """What MLflow lacks of an experiment that the stages have done.

    Raises:
        UserError: the database cannot be read, the server does not answer, or a stage's file is
            broken.
    """
    paths = Paths(name)
    model = [paths.model / file for file in ("train.json", *MODEL_FILES)]
    needed = [paths.config, *model, paths.evaluation / "evaluation.json"]
    if not all(file.exists() for file in needed):
        return []
    found = lookup.look(_uri(paths), _wanted(paths))
    missing = []
    if found.run is None or found.run.is_deleted:
        missing.append(RUN)
    elif not found.run.is_whole:
        missing.append(EVALUATION)
    if paths.registered.exists():
        missing += _lacking_version(found, Registration.read(paths.registered))
    return missing


def mend(name: str) -> str | None:
    """Looks where an experiment's MLflow has its files."""
    paths = Paths(name)
    return mend_places(_uri(paths)) if paths.config.exists() else None


def restore(name: str, missing: Sequence[str]) -> str:
    """Brings back what `lacking` lists, from the files of the stages; a line about it.

    Raises:
        UserError: a file that is needed is not here, or the database does not answer.
    """
    from goodfit.config import tree
    from goodfit.tracking import attach, runs

    paths = Paths(name)
    _check_files(paths)
    cfg = tree.load(paths.config)
    run = attach.find_or_recreate(cfg, paths.model)
    if not set(missing).isdisjoint({RUN, EVALUATION}):
        with runs.run_status(run):
            _complete(run, paths)

    told = [part for part in missing if part in (RUN, EVALUATION)]
    if paths.registered.exists():
        told += _register(run, paths, str(cfg.tracking.uri), missing)
    return f"{name}: MLflow lacked what DVC keeps; restored: {', '.join(told)}"


def _uri(paths: Paths) -> str:
    tracking = OmegaConf.create(read_json(paths.config)["tracking"])
    return str(tracking.uri)  # refers to the environment, which the file does not hold


def _wanted(paths: Paths) -> Wanted:
    training = Training.read(paths.model / "train.json")
    evaluation = Evaluation.read(paths.evaluation / "evaluation.json")
    # the weights' hash is in train.json: reading a large model would take longer than all else
    hashes = [training.weights_sha256, *(sha256(paths.model / file) for file in MODEL_FILES[1:])]
    return Wanted(
        name=paths.name,
        run_id=training.run_id,
        metrics=frozenset({"cost_seconds", single_metric("test", evaluation.score)}),
        model_sha256=model_digest(hashes),
        # of a file that another version composed: none, so that no version is this model
        code=read_json(paths.config).get("code", {}).get("answers", ""),
    )


def _lacking_version(found: Found, recorded: Registration) -> list[str]:
    if recorded.version is None:  # of an experiment of DVC's, which registers nothing
        return []
    missing = [] if found.version else [VERSION]
    if recorded.champion and found.champion is None:
        missing.append(CHAMPION)
    return missing


def _check_files(paths: Paths) -> None:
    """Raises UserError where a file is not here that a run or a version is made of."""
    needed = [
        *(paths.model / file for file in (*MODEL_FILES, "history.csv", "train.json")),
        paths.evaluation / "answer.parquet",
        paths.prepared / "example.parquet",
        paths.page,
    ]
    absent = [str(file) for file in needed if not file.exists()]
    if absent:
        raise UserError(
            f"MLflow cannot be given what it lacks of {paths.name}: {', '.join(absent)} "
            "is not here; `dvc pull` or `dvc checkout` brings it, or `make repro` makes it"
        )


def _complete(run: Run, paths: Paths) -> None:
    from goodfit.config import tree
    from goodfit.tracking import attach

    cfg = tree.load(paths.config)
    evaluation = Evaluation.read(paths.evaluation / "evaluation.json")
    attach.complete(run, cfg, paths.model)
    attach.log_evaluation(run, cfg, evaluation, paths.evaluation)
    run.client.log_artifact(run.run_id, str(paths.page), "report")


def _register(run: Run, paths: Paths, uri: str, missing: Sequence[str]) -> list[str]:
    """Registers the model where it is not; words about the version, and who is champion."""
    from goodfit.tracking import overview, package, registry

    recorded = Registration.read(paths.registered)
    if recorded.version is None:
        return []
    evaluation = Evaluation.read(paths.evaluation / "evaluation.json")
    # of two clones that share the registry, the second finds what the first has restored
    with locked(uri, "registry"):
        version = package.log_and_register(run, paths.name, paths)
        if VERSION in missing or CHAMPION in missing:
            registry.restore(run.client, version, registry.standing_of(evaluation), recorded)
            overview.describe_version(run, version, evaluation, recorded.reason)
        present = registry.champion(run.client, paths.name)
    if VERSION not in missing:
        return [f"the alias champion of version {version}"] if CHAMPION in missing else []
    if present is None:
        return [f"version {version} ({recorded.reason}; no version is)"]
    if str(present.version) == version:
        return [f"version {version} (champion)"]
    return [f"version {version} (champion is version {present.version})"]

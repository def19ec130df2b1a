"""What a run tells its reader: a description, its code, its configuration and its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from goodfit import build
from goodfit.config import tree
from goodfit.provenance import dvc, environment
from goodfit.provenance.environment import Commit
from goodfit.records import Job, Manifest
from goodfit.store import card
from goodfit.system import experiment
from goodfit.tracking import code_state, run_name, runs

if TYPE_CHECKING:
    from goodfit.task.base import Task  # imports torch and Lightning, which change loggers

_CONTEXTS = {"train": "training", "validation": "validation"}  # MLflow's words for splits


def open_run(cfg: DictConfig, task: Task, folder: Path, job: Job, commit: Commit) -> runs.Run:
    """The MLflow run of a training, with all that is known before its first step.

    `folder` holds the prepared data.

    Raises:
        UserError: the database does not answer, or the manifest or dvc.lock cannot be read.
    """
    manifest = Manifest.read(folder / "manifest.json")
    tags = {
        "mlflow.note.content": _note(cfg, task, manifest, commit, run_name.changed(job.overrides)),
        "mlflow.source.name": "pipelines/train.py",
        "mlflow.source.git.commit": commit.sha,
        "goodfit.started_by": "hand" if job.overrides else "dvc repro",
        "goodfit.git_dirty": commit.dirty,
        "goodfit.data_sha256": manifest.sha256,
        "goodfit.data_dvc": dvc.output_hash(folder) or "",
    }
    dvc_experiment = experiment.name()
    if dvc_experiment:
        tags["goodfit.dvc_experiment"] = dvc_experiment
    weights = build.pretrained(cfg).source
    if weights:
        tags["goodfit.pretrained_sha256"] = str(weights.sha256)
    tags |= {f"goodfit.{key}": value for key, value in environment.hardware().items()}
    run = runs.start(
        str(cfg.tracking.uri),
        cfg.name,
        run_name.of(cfg, task, job),
        tags=tags | job.tags,
        params=tree.dotted(tree.frozen(cfg)),
    )
    try:
        _log_lineage(run, cfg, folder, manifest, job, commit)
    except BaseException:
        run.end(runs.FAILED)
        raise
    return run


def _note(
    cfg: DictConfig, task: Task, manifest: Manifest, commit: Commit, by_hand: str | None
) -> str:
    """Markdown for the page of the run."""
    parameters = sum(p.numel() for p in task.parameters())
    inputs = ", ".join(f"{name} {field.shape}" for name, field in task.spec.inputs.items())
    paragraphs = [
        f"**{type(task.model).__name__}** with {parameters:,} parameters "
        f"for {type(task).__name__.lower()} on **{cfg.name}**: {inputs}.",
        f"{manifest.samples('train'):,} samples to train on, "
        f"{manifest.samples('validation'):,} to choose on. "
        f"Kept are the weights with the best validation {task.monitor}; "
        "`final_*` are their scores without dropout and augmentation.",
        f"Changed by hand: {by_hand}." if by_hand else "As the experiment's file says.",
        code_state.note(commit),
    ]
    return "\n\n".join(paragraphs)


def _log_lineage(
    run: runs.Run, cfg: DictConfig, folder: Path, manifest: Manifest, job: Job, commit: Commit
) -> None:
    """Configuration, packages, the data's manifest and the code's state, as files; the data."""
    config = tree.dump(tree.frozen(cfg))
    run.text("config.yaml", config, config)
    run.text("lineage/packages.txt", environment.packages())
    log_manifest(run, cfg.name, manifest)
    for path, reason in code_state.log(run, cfg, job, commit, config):
        print(f"{path} is not stored with the run: {reason}", flush=True)
    log_data(run, cfg.name, folder, manifest)


def log_manifest(run: runs.Run, name: str, manifest: Manifest) -> None:
    """The manifest of the run's data, and what it says, for a reader."""
    run.text("lineage/manifest.json", json.dumps(manifest.to_json(), indent=1))
    run.text("data_card.md", card.markdown(name, manifest))


def log_data(run: runs.Run, name: str, folder: Path, manifest: Manifest) -> None:
    """Records the train and validation splits in `folder` as what the run of `name` used.

    Raises:
        UserError: dvc.lock cannot be read.
    """
    digest = dvc.output_hash(folder) or manifest.sha256
    inputs = []
    for split, context in _CONTEXTS.items():
        source = {"path": str(folder / split), "raw_sha256": manifest.raw_sha256}
        inputs.append(
            runs.DataInput(
                name=f"{name}/{split}",
                digest=digest,
                source=json.dumps(source),
                context=context,
                profile=json.dumps(manifest.counts[split]),
            )
        )
    runs.log_data_inputs(run, inputs)

"""What a run tells its reader: a name, a description, where it comes from, what it was made of."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig

from goodfit.config import tree
from goodfit.provenance import dvc, environment
from goodfit.provenance.environment import Commit
from goodfit.records import Job, Manifest
from goodfit.task.base import Task
from goodfit.tracking import runs

_CONTEXTS = {"train": "training", "validation": "validation"}  # MLflow's words for splits


def open_run(cfg: DictConfig, task: Task, folder: Path, job: Job, commit: Commit) -> runs.Run:
    """The MLflow run of a training, with all that is known before its first step.

    `folder` holds the prepared data.

    Raises:
        UserError: the database does not answer.
    """
    manifest = Manifest.read(folder / "manifest.json")
    content = tree.frozen(cfg)
    tags = {
        "mlflow.note.content": _note(cfg, task, manifest, commit, _changed(job)),
        "mlflow.source.name": "pipelines/train.py",
        "mlflow.source.git.commit": commit.sha,
        "goodfit.started_by": "hand" if job.overrides else "dvc repro",
        "goodfit.git_dirty": commit.dirty,
        "goodfit.data_sha256": manifest.sha256,
        "goodfit.data_dvc": dvc.output_hash(folder) or "",
    }
    tags |= {f"goodfit.{key}": value for key, value in environment.hardware().items()}
    run = runs.start(
        str(cfg.tracking.uri),
        cfg.name,
        _name(cfg, task, job),
        tags=tags | job.tags,
        params=tree.dotted(content),
    )
    try:
        _log_origin(run, cfg, folder, manifest, commit)
    except BaseException:
        run.end(runs.FAILED)
        raise
    return run


def _name(cfg: DictConfig, task: Task, job: Job) -> str:
    """What makes the run differ from its neighbours, unless the user named it."""
    if cfg.tracking.run_name:
        return str(cfg.tracking.run_name)
    changed = _changed(job)
    network = type(task.model).__name__
    return f"{network}{f' {changed}' if changed else ''} (seed {cfg.seed})"


def _changed(job: Job) -> str | None:
    """The overrides that say more than which experiment it is."""
    changed = [item for item in job.overrides if not item.startswith(("experiment=", "search="))]
    return ", ".join(changed) or None


def _note(
    cfg: DictConfig, task: Task, manifest: Manifest, commit: Commit, changed: str | None
) -> str:
    """Markdown for the page of the run."""
    parameters = sum(p.numel() for p in task.parameters())
    inputs = ", ".join(f"{name} {field.shape}" for name, field in task.spec.inputs.items())
    dirty = ", with uncommitted changes" if commit.dirty == "true" else ""
    paragraphs = [
        f"**{type(task.model).__name__}** with {parameters:,} parameters "
        f"for {type(task).__name__.lower()} on **{cfg.name}**: {inputs}.",
        f"{manifest.samples('train'):,} samples to train on, "
        f"{manifest.samples('validation'):,} to choose on. Kept are the weights with the best validation "
        f"{task.monitor}; `final/*` are their scores without dropout and augmentation.",
        f"Changed by hand: {changed}." if changed else "As the experiment's file says.",
        f"Commit {commit.sha[:10]}{dirty}.",
    ]
    return "\n\n".join(paragraphs)


def _log_origin(
    run: runs.Run, cfg: DictConfig, folder: Path, manifest: Manifest, commit: Commit
) -> None:
    """The files that say what the run was made of, and its data."""
    text = tree.dump(tree.frozen(cfg))
    run.text("config.yaml", text, text)
    run.text("lineage/packages.txt", environment.packages())
    run.text("lineage/manifest.json", json.dumps(manifest.to_json(), indent=1))
    if commit.diff:
        run.text("lineage/uncommitted.diff", commit.diff, text)

    for split, context in _CONTEXTS.items():
        runs.log_data_input(
            run,
            name=f"{cfg.name}/{split}",
            digest=dvc.output_hash(folder) or manifest.sha256,
            source=json.dumps({"path": str(folder / split), "raw_sha256": manifest.raw_sha256}),
            context=context,
            profile=json.dumps(manifest.counts[split]),
        )

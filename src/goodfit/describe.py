"""What a run tells its reader: a name, a description, where it comes from, what it was made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from goodfit import config, lineage, track
from goodfit.data.packed import DataModule
from goodfit.files import read_json
from goodfit.task.base import Task


def open_run(
    cfg: DictConfig,
    task: Task,
    data: DataModule,
    folder: Path,
    overrides: Sequence[str],
    git: dict[str, str],
    more: Mapping[str, str],
) -> track.Run:
    """Starts the MLflow run of a training, with all that is known before its first step; `more` are tags."""
    content = config.frozen(cfg)
    text = config.dump(content)
    changed = ", ".join(item for item in overrides if not item.startswith(("experiment=", "search=")))
    network = type(task.model).__name__
    name = cfg.tracking.run_name or f"{network}{' ' + changed if changed else ''} (seed {cfg.seed})"
    manifest = read_json(folder / "manifest.json")
    tags = {
        "mlflow.note.content": _note(cfg, task, data, git, changed),
        "mlflow.source.name": "pipelines/train.py",
        "mlflow.source.git.commit": git["commit"],
        "goodfit.started_by": "hand" if overrides else "dvc repro",
        "goodfit.git_dirty": git["dirty"],
        "goodfit.data_sha256": manifest["sha256"],
        "goodfit.data_dvc": lineage.dvc_hash(folder),
        **{f"goodfit.{key}": value for key, value in lineage.hardware().items()},
        **more,
    }
    run = track.start(
        str(OmegaConf.select(cfg, "tracking.uri")), cfg.name, name, tags=tags, params=track.leaves(content)
    )
    try:
        _inputs(run, cfg, folder, manifest, text, git["diff"])
    except BaseException:
        run.end(track.FAILED)
        raise
    return run


def _inputs(run: track.Run, cfg: DictConfig, folder: Path, manifest: dict[str, Any], text: str, diff: str) -> None:
    """The files that say what the run was made of, and its data."""
    run.text("config.yaml", text, text)
    run.text("lineage/packages.txt", lineage.packages())
    run.text("lineage/manifest.json", json.dumps(manifest, indent=1))
    if diff:
        run.text("lineage/uncommitted.diff", diff, text)
    for split in ("train", "validation"):
        counts = manifest["counts"][split]
        track.data_input(
            run,
            name=f"{cfg.name}/{split}",
            digest=lineage.dvc_hash(folder) or manifest["sha256"],
            source=json.dumps({"path": str(folder / split), "raw_sha256": manifest["raw_sha256"]}),
            context={"train": "training"}.get(split, split),
            profile=json.dumps(counts),
        )


def _note(cfg: DictConfig, task: Task, data: DataModule, git: dict[str, str], changed: str) -> str:
    """Markdown for the page of the run."""
    parameters = sum(p.numel() for p in task.parameters())
    inputs = ", ".join(f"{name} {field.shape}" for name, field in data.spec.inputs.items())
    return "\n\n".join(
        [
            f"**{type(task.model).__name__}** with {parameters:,} parameters for {type(task).__name__.lower()} "
            f"on **{cfg.name}**: {inputs}.",
            f"{len(data.train):,} samples to train on, {len(data.validation):,} to choose on. Kept are the weights "
            f"with the best validation {task.monitor}; `final/*` are their scores without dropout and augmentation.",
            f"Changed by hand: {changed}." if changed else "As the experiment's file says.",
            f"Commit {git['commit'][:10]}{', with uncommitted changes' if git['dirty'] == 'true' else ''}.",
        ]
    )

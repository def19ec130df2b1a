"""What a name on the command line of compare stands for: an experiment, or a run of MLflow."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goodfit.config import tree
from goodfit.errors import UserError, nearest
from goodfit.paths import Paths, choices
from goodfit.records import Training
from goodfit.repeats import result
from goodfit.repeats.result import Repeated
from goodfit.tracking import runs

_RUN = re.compile(r"[0-9a-f]{32}")
_NOWHERE = Path()


@dataclass(frozen=True)
class Side:
    """One side of a comparison: trainings that belong together, or one model in `folder`.

    `data` is the folder of its prepared data, whose hash was `data_sha256` if that is known;
    `evaluation` where its test scores would be. `values` are resampled scores (S, R) of seeds.
    """

    name: str
    title: str
    repeated: Repeated | None = None
    values: np.ndarray[Any, Any] | None = None
    folder: Path = _NOWHERE
    data: Path = _NOWHERE
    data_sha256: str | None = None
    evaluation: Path | None = None


@contextmanager
def side(name: str, uri: str) -> Iterator[Side]:
    """The side that `name` stands for; files that MLflow alone has are there in the block.

    Raises:
        UserError: nothing trained has this name, or its run has not come to its end.
    """
    if _RUN.fullmatch(name):
        with tempfile.TemporaryDirectory() as folder:
            yield _of_run(name, uri, Path(folder))
        return
    yield _of_experiment(name)


def _of_experiment(name: str) -> Side:
    paths = Paths(name)
    if not (paths.model / "train.json").is_file():
        known = choices(Path("conf/experiment"))
        if name in known:
            raise UserError(f"{name} is not trained; make it with `make repro ONLY={name}`")
        raise UserError(
            f"'{name}' is no experiment, and no id of a run, which has 32 digits."
            f"{nearest(name, known)}"
        )
    return Side(
        name,
        f"{name} ({paths.model})",
        folder=paths.model,
        data=paths.prepared,
        evaluation=paths.evaluation,
    )


def _of_run(run_id: str, uri: str, folder: Path) -> Side:
    run = runs.find(uri, run_id)
    if run is None:
        raise UserError(f"MLflow ({uri}) has no run {run_id}; MLFLOW_TRACKING_URI names another")
    told = run.client.get_run(run_id)
    name, tags = str(told.info.run_name), told.data.tags
    if told.info.status != runs.FINISHED:
        raise UserError(f"run {run_id} is {told.info.status}, not {runs.FINISHED}")
    if tags.get("goodfit.started_by") in ("sweep", "trial", "confirmation"):
        raise UserError(f"run {run_id} is part of a sweep, which keeps no model")
    if tags.get("goodfit.started_by") == "fold":
        raise UserError(f"run {run_id} is one fold; compare all, by {tags['mlflow.parentRunId']}")
    if tags.get("goodfit.started_by") == "curve":
        raise UserError(f"run {run_id} is a learning curve; name one of the runs nested in it")
    if tags.get("goodfit.started_by") in ("cv", "seeds"):
        run.client.download_artifacts(run_id, result.ARTIFACTS, str(folder))
        repeated, values = result.read(folder / result.ARTIFACTS)
        title = f"{repeated.experiment}: {name} (run {run_id[:8]})"
        return Side(run_id, title, repeated, values)

    experiment = str(run.client.get_experiment(told.info.experiment_id).name)
    model = _model(run, experiment, folder)
    paths = Paths(str(tree.load(model / "config.yaml").name))
    return Side(
        run_id,
        f"{experiment}: {name} (run {run_id[:8]})",
        folder=model,
        data=paths.prepared,
        data_sha256=tags.get("goodfit.data_sha256"),
        evaluation=paths.evaluation,
    )


def _model(run: runs.Run, experiment: str, folder: Path) -> Path:
    """The folder of the model that a run trained: here, or brought from MLflow to `folder`."""
    for path in (Path("build/runs") / run.run_id, Paths(experiment).model):
        facts = path / "train.json"
        if facts.is_file() and Training.read(facts).run_id == run.run_id:
            return path
    if not any(item.path == "model" for item in run.client.list_artifacts(run.run_id)):
        raise UserError(f"run {run.run_id} has no model, so nothing of it can be scored")
    run.client.download_artifacts(run.run_id, "model", str(folder))
    return folder / "model"

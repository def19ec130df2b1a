"""What the stages after training add to the training's run, recreated where it is lost."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance import dvc
from goodfit.records import Cost, Evaluation, Manifest, Training
from goodfit.records.fit import Judgement
from goodfit.tracking import describe, openings, runs
from goodfit.tracking.database import connect
from goodfit.tracking.lookup import RECREATED_TAG
from goodfit.tracking.overview import baseline_metric, describe_experiment, single_metric


def find_or_recreate(cfg: DictConfig, model: Path) -> runs.Run:
    """The run that trained `model`; recreated, and tagged so, where this database does not have it.

    DVC may restore a model from its cache, on another machine or after the database was deleted. A
    run that was deleted, and not yet for good, is brought back.

    Raises:
        UserError: the model's files are missing or broken, or the database does not answer.
    """
    uri = str(cfg.tracking.uri)
    training = Training.read(model / "train.json")
    return (
        runs.undelete(uri, training.run_id)
        or _find_recreated(uri, training.run_id)
        or _recreate(cfg, model, training)
    )


def complete(run: runs.Run, cfg: DictConfig, model: Path) -> None:
    """The run has all that the model's folder says of its training; what it has already stays.

    Raises:
        UserError: the model's files are missing or broken.
    """
    training = Training.read(model / "train.json")
    content = tree.frozen(tree.load(model / "config.yaml"))
    run.resume()
    runs.add_params(run, tree.dotted(content))
    for epoch, row in _learning_curves(model / "history.csv"):
        run.log(row, epoch)
    log_training(run, training.scores, training.cost)
    config = tree.dump(content)
    run.text("config.yaml", config, config)
    run.folder(model, "model")

    prepared = Paths(cfg.name).prepared
    if (prepared / "manifest.json").exists():
        manifest = Manifest.read(prepared / "manifest.json")
        run.tag(data_sha256=manifest.sha256, data_dvc=dvc.output_hash(prepared) or "")
        describe.log_manifest(run, cfg.name, manifest)
        describe.log_data(run, cfg.name, prepared, manifest)


def log_training(run: runs.Run, scores: Mapping[str, float], cost: Cost) -> None:
    """Logs the scores of the weights that were kept, and the cost of the training."""
    run.log({single_metric("final", name): value for name, value in scores.items()})
    run.log({single_metric("cost", name): value for name, value in cost.to_json().items()})


def log_evaluation(run: runs.Run, cfg: DictConfig, result: Evaluation, folder: Path) -> None:
    """Logs test scores with their bounds, baselines, the verdict, and the files in `folder`.

    Raises:
        UserError: dvc.lock cannot be read.
    """
    row: dict[str, float] = {}
    for name, score in result.network.items():
        row[single_metric("test", name)] = score.value
        row[single_metric("test", f"{name}_low")] = score.low
        row[single_metric("test", f"{name}_high")] = score.high
    for baseline in result.baselines:
        metric = baseline_metric(result.score, baseline)
        row[metric] = baseline.scores[result.score].value
        if baseline.validation is not None:
            row[f"{metric}_val"] = baseline.validation
    if result.opened_by:
        row[single_metric("test", "openings")] = len(result.opened_by)
        run.tag(**openings.tags(result))
    run.log(row)
    if result.fit:
        log_fit(run, result.fit)
    run.flush()
    run.tag(verdict=result.verdict.text, strongest_baseline=result.strong.title)

    paths = Paths(cfg.name)
    source = {"path": str(paths.prepared / "test"), "sha256": result.test_sha256}
    data = runs.DataInput(
        name=f"{cfg.name}/test",
        digest=dvc.output_hash(paths.prepared) or result.test_sha256,
        source=json.dumps(source),
        context="testing",
        profile=json.dumps({"samples": result.samples}),
    )
    runs.log_data_inputs(run, [data])
    run.folder(folder, "evaluation", later=paths.evaluation)
    describe_experiment(run, result)


def log_fit(run: runs.Run, judgement: Judgement) -> None:
    """Logs how well the network fits, as a tag to filter by, and the numbers of its evidence."""
    evidence = judgement.evidence
    row = {"units": float(evidence.units)}
    for name in ("gap", "on_train", "on_validation", "lost", "than_strong"):
        known = getattr(evidence, name)
        if known is not None:
            row |= {name: known.value, f"{name}_low": known.low, f"{name}_high": known.high}
    run.log({single_metric("fit", name): value for name, value in row.items()})
    run.flush()
    run.tag(fit=str(judgement.fit))


def _find_recreated(uri: str, run_id: str) -> runs.Run | None:
    """The run that stands for `run_id`; one that was deleted is brought back."""
    from mlflow.entities import ViewType

    client = connect(uri)
    experiment_ids = [experiment.experiment_id for experiment in client.search_experiments()]
    condition = f"tags.`{RECREATED_TAG}` = '{run_id}'"
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY):
        for match in client.search_runs(experiment_ids, condition, view, max_results=1):
            return runs.undelete(uri, match.info.run_id)
    return None


def _recreate(cfg: DictConfig, model: Path, training: Training) -> runs.Run:
    """A new run with the parameters, curves, scores and files that the model's folder holds.

    Raises:
        UserError: the model's files are missing or broken, or the database does not answer.
    """
    # all files first: a run that was begun and could not be filled would be one too many
    content = tree.frozen(tree.load(model / "config.yaml"))
    _learning_curves(model / "history.csv")
    tags = {
        "mlflow.source.name": "pipelines/train.py",
        "mlflow.source.git.commit": training.commit,
        "goodfit.git_dirty": training.dirty,
        "goodfit.machine": training.machine,
        "goodfit.weights_sha256": training.weights_sha256,
    }
    if training.pretrained_sha256:
        tags["goodfit.pretrained_sha256"] = training.pretrained_sha256
    network = content["model"]["_target_"].rpartition(".")[2]
    note = f"Recreated from {model}/, which DVC restored; trained as {training.run_id}."
    run = runs.start(
        str(cfg.tracking.uri),
        cfg.name,
        f"{network} (seed {content['seed']}, restored)",
        tags=tags | {"mlflow.note.content": note},
        params={},
    )
    with runs.run_status(run):
        complete(run, cfg, model)
        # last: a run that a kill left half filled is not taken for the training's own
        run.tag(recreated_from=training.run_id)
    return run


def _learning_curves(path: Path) -> list[tuple[int, dict[str, float]]]:
    """Each epoch with its metrics; an empty cell is none."""
    curves = []
    try:
        for row in csv.DictReader(path.read_text().splitlines()):
            epoch = int(float(row.pop("epoch")))
            curves.append((epoch, {name: float(value) for name, value in row.items() if value}))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; `dvc repro` makes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is broken ({error!r}); `dvc repro` makes it again") from None
    return curves

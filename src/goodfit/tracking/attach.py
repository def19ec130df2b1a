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
from goodfit.records import Cost, Evaluation, Training
from goodfit.tracking import runs
from goodfit.tracking.database import connect
from goodfit.tracking.overview import baseline_metric, describe_experiment


def find_or_recreate(cfg: DictConfig, model: Path) -> runs.Run:
    """The run that trained `model`; recreated, and tagged so, where this database does not have it.

    DVC may restore a model from its cache, on another machine or after the database was deleted.

    Raises:
        UserError: the model's files are missing or broken, or the database does not answer.
    """
    uri = str(cfg.tracking.uri)
    training = Training.read(model / "train.json")
    return (
        runs.find(uri, training.run_id)
        or _find_recreated(uri, training.run_id)
        or _recreate(cfg, model, training)
    )


def single_metric(section: str, name: str) -> str:
    """The name of a metric with one value, such as test_accuracy or final_val_loss.

    MLflow's page of a run puts what has a slash in sections by the alphabet, and what has none
    after them: so the curves of train/ and val/ stand before dozens of single bars.
    """
    return f"{section}_{name}".replace("/", "_")


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
        row[baseline_metric(result.score, baseline)] = baseline.scores[result.score].value
        if baseline.validation is not None:
            row[f"{baseline_metric(result.score, baseline)}_validation"] = baseline.validation
    run.log(row)
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


def _find_recreated(uri: str, run_id: str) -> runs.Run | None:
    client = connect(uri)
    experiment_ids = [experiment.experiment_id for experiment in client.search_experiments()]
    condition = f"tags.`goodfit.recreated_from` = '{run_id}'"
    matches = client.search_runs(experiment_ids, condition, max_results=1)
    return runs.Run(client, matches[0].info.run_id) if matches else None


def _recreate(cfg: DictConfig, model: Path, training: Training) -> runs.Run:
    """A new run with the parameters, curves, scores and files that the model's folder holds.

    Raises:
        UserError: the model's files are missing or broken, or the database does not answer.
    """
    # all files first: a run that was begun and could not be filled would be found the next time,
    # and taken for the training's own
    content = tree.frozen(tree.load(model / "config.yaml"))
    curves = _learning_curves(model / "history.csv")
    tags = {
        "goodfit.recreated_from": training.run_id,
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
        params=tree.dotted(content),
    )

    for epoch, row in curves:
        run.log(row, epoch)
    log_training(run, training.scores, training.cost)
    run.folder(model, "model")
    run.end(runs.FINISHED)
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

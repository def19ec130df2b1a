"""What the stages after training add to the training's run, wherever that run is now."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from goodfit import config, lineage, track
from goodfit.files import read_json
from goodfit.places import Places


def run_of(cfg: DictConfig, model: Path) -> track.Run:
    """The run that trained `model`; made anew, and marked so, where this database does not have it.

    DVC may restore a model from its cache, on another machine or after the database was deleted.
    """
    uri = str(OmegaConf.select(cfg, "tracking.uri"))
    facts = read_json(model / "train.json")
    found = track.find(uri, facts["run_id"]) or _recreated(uri, facts["run_id"])
    if found:
        return found
    content = config.frozen(config.load(model / "config.yaml"))
    run = track.start(
        uri,
        cfg.name,
        f"{content['model']['_target_'].rpartition('.')[2]} (seed {content['seed']}, restored)",
        tags={
            "goodfit.recreated_from": facts["run_id"],
            "mlflow.note.content": f"Recreated from {model}/, which DVC restored; trained as {facts['run_id']}.",
            "goodfit.weights_sha256": facts["weights_sha256"],
        },
        params=track.leaves(content),
    )
    with (model / "history.csv").open() as stream:
        for row in csv.DictReader(stream):
            values = {key: float(value) for key, value in row.items() if key != "epoch" and value}
            run.log(values, int(float(row["epoch"])))
    run.log({f"final/{key}": value for key, value in facts["scores"].items()})
    run.log({f"cost/{key}": value for key, value in facts["cost"].items()})
    run.folder(model, "model")
    run.end(track.FINISHED)
    return run


def scores(run: track.Run, cfg: DictConfig, result: dict[str, Any], folder: Path) -> None:
    """Test scores with their bounds, the baselines' scores, the verdict, and evaluate's files."""
    row: dict[str, float] = {}
    for name, found in result["network"].items():
        row |= {
            f"test/{name}": found["value"],
            f"test/{name}_low": found["low"],
            f"test/{name}_high": found["high"],
        }
    for item in result["baselines"]:
        key = result["score"]
        title = re.sub(r"[^a-zA-Z0-9]+", "_", item["title"])  # MLflow takes no other signs in a metric's name
        row[f"baseline/{key}/{title}"] = item["scores"][key]["value"]
    run.log(row)
    run.flush()
    run.tag(verdict=result["verdict"]["text"])
    places_hash = lineage.dvc_hash(Path("data/prepared") / cfg.name)
    track.data_input(
        run,
        name=f"{cfg.name}/test",
        digest=places_hash or result["test_sha256"],
        source=json.dumps({"path": f"data/prepared/{cfg.name}/test", "sha256": result["test_sha256"]}),
        context="testing",
        profile=json.dumps({"samples": result["samples"]}),
    )
    run.folder(folder, "evaluation", later=Places(cfg.name).evaluation)


def _recreated(uri: str, run_id: str) -> track.Run | None:
    client = track.connect(uri)
    experiments = [item.experiment_id for item in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`goodfit.recreated_from` = '{run_id}'", max_results=1)
    return track.Run(client, found[0].info.run_id) if found else None

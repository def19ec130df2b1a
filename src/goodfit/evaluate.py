"""The only place that opens test data: scores with intervals, baselines on the same samples, a verdict."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from torch import Tensor

from goodfit import build, tell, track
from goodfit.baseline.base import Split
from goodfit.baseline.trivial import trivial
from goodfit.bootstrap import WORDS, Interval, compare, intervals, resamples
from goodfit.contract import DataSpec
from goodfit.data.base import lists
from goodfit.data.intact import intact
from goodfit.data.packed import Packed
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.examples import worst
from goodfit.files import read_json, replacing, write_json
from goodfit.places import Places
from goodfit.predict import Predictor
from goodfit.shape import shape
from goodfit.task.base import Task

Scored = dict[str, tuple[Interval, np.ndarray[Any, Any]]]


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: report/<experiment>/evaluation and metrics.json, and the scores into the model's run."""
    places = Places(cfg.name)
    manifest = intact(places.prepared, *SPLITS)
    run = tell.run_of(cfg, places.model)
    with track.truthful(run):
        result, predictions = evaluate(cfg, places.prepared, places.model)
        result["test_sha256"] = manifest["test_sha256"]
        with replacing(places.evaluation) as part:
            write_json(part / "evaluation.json", result)
            np.savez(part / "predictions.npz", **predictions)  # type: ignore[arg-type]
            answer = Predictor.load(places.model).predict(lists(pd.read_parquet(places.prepared / "example.parquet")))
            answer.to_parquet(part / "answer.parquet", index=False)  # so that register need not import torch
            tell.scores(run, cfg, result, part)  # before the files are in place: a stage that fails leaves none
        write_json(places.metrics, summary(result, places.model))
        _plots(result, places)
    print(f"{cfg.name}: {result['verdict']['text']}")


def evaluate(cfg: DictConfig, data: Path, model: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Scores of the network and of the baselines on the test split of `data`, and all predictions.

    Intervals are 95 % percentiles of `evaluate.resamples` resampled test sets, drawn with seed 0 and the
    same for every method.
    """
    predictor = Predictor.load(model)
    spec, task = predictor.spec, predictor.task
    if spec != DataSpec.read(data / "spec.json"):
        raise UserError(f"{model} was trained on other data than {data} holds; train again")
    test = Packed(data, "test")
    started = time.monotonic()
    prediction = predictor.on(test)
    seconds = time.monotonic() - started
    draws = resamples(len(test), cfg.evaluate.resamples, seed=0)
    network = intervals(task.metrics(), prediction, test.target, draws)
    methods = _baselines(cfg, data, spec)
    scored = {
        title: intervals(task.metrics(), forecast, test.target, draws) for title, (_, forecast) in methods.items()
    }
    roles = {title: role for title, (role, _) in methods.items()}
    result = {
        "experiment": cfg.name,
        "task": type(task).__name__,
        "model": type(task.model).__name__,
        "kind": spec.kind,
        "score": task.score,
        "modes": task.scores,
        "samples": len(test),
        "weights_sha256": read_json(model / "train.json")["weights_sha256"],
        "resamples": cfg.evaluate.resamples,
        "seconds_per_1000": round(1000 * seconds / len(test), 3),
        "network": _plain(network),
        "baselines": [{"title": title, "role": roles[title], "scores": _plain(scored[title])} for title in scored],
        "verdict": verdict(cfg.name, task, network, scored, roles),
        "shape": shape(spec, prediction, test.target),
        "examples": worst(task, predictor, test, _rows(data, "test"), cfg.evaluate.examples),
    }
    arrays = {title.replace(" ", "_"): forecast.numpy() for title, (_, forecast) in methods.items()}
    return result, {"network": prediction.numpy(), "target": test.target.numpy(), **arrays}


def verdict(name: str, task: Task, network: Scored, scored: dict[str, Scored], roles: dict[str, str]) -> dict[str, Any]:
    """In words: does the network beat, tie with or lose to each baseline, by the task's score?"""
    key = task.score
    against: list[dict[str, Any]] = []
    for title, scores in scored.items():
        outcome, difference = compare(network[key], scores[key], task.scores[key])
        against.append({"title": title, "role": roles[title], "outcome": outcome, "difference": difference.plain()})
    strong = next(item for item in against if item["role"] == "strong")
    ours, theirs = network[key][0], scored[strong["title"]][key][0]
    text = (
        f"the network {WORDS[strong['outcome']]} {strong['title']}: {key} {ours.value:.4f} "
        f"[{ours.low:.4f}, {ours.high:.4f}] against {theirs.value:.4f} [{theirs.low:.4f}, {theirs.high:.4f}]; "
        f"better by {strong['difference']['value']:+.4f} "
        f"[{strong['difference']['low']:+.4f}, {strong['difference']['high']:+.4f}]"
    )
    useless = [item["title"] for item in against if item["role"] == "trivial" and item["outcome"] < 0]
    if useless:
        text += f"; it is worse than {' and '.join(useless)}"
    return {
        "word": WORDS[strong["outcome"]],
        "text": text,
        "against": against,
        "worse_than_trivial": bool(useless),
    }


def summary(result: dict[str, Any], model: Path) -> dict[str, Any]:
    """The few numbers for `dvc metrics show` and for the table at the end of `make repro`."""
    key = result["score"]
    train = read_json(model / "train.json")
    strong = next(item for item in result["baselines"] if item["role"] == "strong")
    return {
        key: result["network"][key],
        "baseline": strong["scores"][key]["value"],
        "verdict": result["verdict"]["word"],
        "gap": train["scores"][f"gap/{key}"],
        "seconds": train["cost"]["seconds"],
        "parameters": train["cost"]["parameters"],
    }


def _baselines(cfg: DictConfig, data: Path, spec: DataSpec) -> dict[str, tuple[str, Tensor]]:
    splits = {name: _split(data, name, spec) for name in SPLITS}
    strong = build.baseline(cfg)
    started = time.monotonic()
    forecast = strong.predict(splits["train"], splits["validation"], splits["test"], spec)
    print(f"baseline {strong.title}: {time.monotonic() - started:.1f} s", flush=True)
    simple = trivial(splits["train"], splits["test"], spec)
    found = {title: ("trivial", values) for title, values in simple.items()} | {strong.title: ("strong", forecast)}
    return {title: (role, torch.from_numpy(np.asarray(values, np.float32))) for title, (role, values) in found.items()}


def _split(data: Path, name: str, spec: DataSpec) -> Split:
    inputs = {key: np.load(data / name / f"{key}.npy", mmap_mode="r") for key in spec.inputs}
    return Split(inputs, _rows(data, name), np.load(data / name / "target.npy"))


def _rows(data: Path, split: str) -> pd.DataFrame:
    return pd.read_parquet(data / split / "rows.parquet")


def _plain(scored: Scored) -> dict[str, dict[str, float]]:
    return {name: found.plain() for name, (found, _) in scored.items()}


def _plots(result: dict[str, Any], places: Places) -> None:
    """The two tables that `dvc plots show` draws."""
    key = result["score"]
    methods = [("network", result["network"]), *((item["title"], item["scores"]) for item in result["baselines"])]
    _table(places.scores, ["method", "score"], [[title, scores[key]["value"]] for title, scores in methods])
    history = pd.read_csv(places.model / "history.csv")
    names = {"train": "train/loss", "validation": "val/loss"}
    rows = [[int(row["epoch"]) + 1, split, row[name]] for split, name in names.items() for _, row in history.iterrows()]
    _table(places.curves, ["epoch", "split", "loss"], rows)


def _table(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with replacing(path) as part, part.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])

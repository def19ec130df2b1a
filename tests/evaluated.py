"""The files of an evaluated experiment, made up: what its pages and its table are drawn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODES = {
    "class": {"accuracy": "max", "log_loss": "min"},
    "series": {"mae": "min"},
    "number": {"rmse": "min"},
    "boxes": {"ap50": "max", "map": "max"},
}
EVIL = "dull <script>alert('x')</script> & loud"


def score(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


def charts_of(kind: str) -> list[dict[str, Any]]:
    if kind == "class":
        bins = {"count": [10, 10], "told": [10, 10], "confidence": [0.7, 0.9]}
        after = bins | {"ece": 0.05, "chance": [0.02, 0.2], "accuracy": [0.6, 0.9]}
        before = after | {"ece": 0.15, "confidence": [0.8, 1.0]}
        calibration = {"temperature": 2.0, "curves": [["after", after], ["before", before]]}
        matrix = {"counts": [[9, 1], [1, 9]], "labels": ["no", "yes"]}
        return [chart("confusion", matrix), chart("reliability", calibration)]
    if kind == "boxes":
        curves = [["network", [1.0] * 101], ["old method", [0.0] * 101]]
        areas = [["network", [0.5, 0.2]], ["old method", [0.1, 0.0]]]
        return [
            chart("precision_recall", {"curves": curves}),
            chart("by_overlap", {"areas": areas, "overlaps": [0.5, 0.55]}),
        ]
    spread = {
        "counts": [1, 3, 1],
        "edges": [-3.0, -1.0, 1.0, 3.0],
        "mean": 0.1,
        "within": {"0.5": 0.5, "0.9": 2.0},
    }
    more = {
        "number": chart("scatter", {"prediction": [2.0] * 5, "target": [1.0] * 5, "samples": 5}),
        "series": chart(
            "by_step", {"errors": [["network", [0.1, 0.2, 0.3]], ["old method", [1.0] * 3]]}
        ),
    }
    return [chart("residuals", spread), more[kind]]


def typical_of(kind: str) -> list[dict[str, Any]]:
    curves = [["truth", [1.0] * 3], ["network", [2.0] * 3], ["old method", [0.0] * 3]]
    return [chart("forecast", {"curves": curves, "row": 4})] if kind == "series" else []


def chart(form: str, numbers: dict[str, Any]) -> dict[str, Any]:
    return {"form": form, "title": f"the {form}", "data": numbers}


def example_of(kind: str) -> dict[str, Any]:
    if kind == "class":
        statements = [
            {"who": "truth", "value": "no", "probability": 0.0001},
            {"who": "network", "value": "yes", "probability": 0.9999},
        ]
        answer: dict[str, Any] = {"statements": statements, "wrong": True}
        return {"row": 3, "loss": 9.2, "answer": answer, "exhibit": {"text": EVIL}}
    if kind == "boxes":
        boxes = [
            {"who": "truth", "corners": [1, 2, 9, 9], "label": EVIL, "hit": False},
            {"who": "network", "corners": [3, 4, 8, 8], "label": "x", "hit": False, "score": 0.5},
        ]
        answer = {"boxes": boxes, "size": [16, 12]}
        exhibit = {"picture": "UE5H", "picture_format": "jpeg"}
        return {"row": 3, "loss": 0.2, "answer": answer, "exhibit": exhibit}
    if kind == "series":
        answer = {"curves": [["truth", [1.0, 2.0, 3.0]], ["network", [1.1, 2.2, 3.3]]]}
        exhibit: dict[str, Any] = {"curve": [0.0, 0.5], "start": "2014-11-07 00:00:00"}
    else:
        answer = {"statements": [{"who": "truth", "value": 1.0}, {"who": "network", "value": 2.0}]}
        exhibit = {"cells": {"width": [3.5, -2.0]}}
    return {"row": 3, "loss": 0.2, "answer": answer, "exhibit": exhibit}


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def make(
    name: str, kind: str = "class", outcome: int = 0, trivial: int = 1, secret: str = ""
) -> None:
    """The files of an evaluated experiment, in the current folder; the second of 3 epochs is kept.

    `outcome` and `trivial` are the comparisons with the strong and with the trivial baseline.
    """
    key = next(iter(MODES[kind]))
    put(
        Path(f"report/{name}/evaluation/evaluation.json"),
        evaluation_of(name, kind, outcome, trivial),
    )
    put(Path(f"models/{name}/train.json"), training_of(kind))
    rows = [f"{epoch},{loss},0.5,{loss},0.6,1.5" for epoch, loss in enumerate((0.9, 0.4, 0.6))]
    head = f"epoch,val/loss,train/loss,val/{key},train/{key},epoch_seconds"
    put(Path(f"models/{name}/history.csv"), "\n".join([head, *rows]) + "\n")
    put(
        Path(f"models/{name}/config.yaml"),
        f"data:\n  test: 0.2\nnote: '{secret}'\nurl: https://me:pass@host/x\n",
    )
    labels = ["no", "yes"] if kind == "class" else []
    put(Path(f"models/{name}/spec.json"), spec_of(kind, labels))
    put(Path(f"data/prepared/{name}/manifest.json"), manifest_of(labels))


def fit_of(name: str) -> dict[str, Any]:
    """An overfit network with one remedy."""
    curve = {"epochs": 3, "slope": None, "gained": 0.5}
    evidence = {
        "score": name,
        "train": score(0.9),
        "validation": score(0.6),
        "gap": score(0.3),
        "trivial": "guess",
        "on_train": score(0.4),
        "on_validation": score(0.1),
        "lost": score(0.75),
        "train_curve": curve,
        "validation_curve": curve,
        "epochs": 3,
        "kept_epoch": 1,
        "to_the_end": True,
        "unit": "week",
        "units": 40,
        "samples": 80,
        "parameters": 800,
    }
    remedy = {"override": "model.dropout=0.5", "why": "less by heart"}
    return {"fit": "overfit", "evidence": evidence, "remedies": [remedy]}


def evaluation_of(name: str, kind: str, outcome: int, trivial: int) -> dict[str, Any]:
    against, baselines = [], []
    methods = [
        ("guess", "trivial", trivial),
        ("old method", "strong", outcome),
        ("older method", "other", 1),
    ]
    for title, role, result in methods:
        method = {"title": title, "role": role}
        against.append({**method, "outcome": result, "difference": score(0.03 * result)})
        scores = {item: score(0.6) for item in MODES[kind]}
        baselines.append({**method, "validation": 0.62, "scores": scores})
    return {
        "experiment": name,
        "task": "T",
        "model": "Net",
        "subject": kind,
        "score": next(iter(MODES[kind])),
        "modes": MODES[kind],
        "samples": 20,
        "cluster": "week",
        "clusters": 5,
        "resamples": 100,
        "fit": fit_of(next(iter(MODES[kind]))),
        "seconds_per_1000": 0.4,
        "network": {item: score(0.7) for item in MODES[kind]},
        "baselines": baselines,
        "verdict": {
            "word": "ties with",
            "text": "",
            "against": against,
            "worse_than_trivial": trivial < 0,
        },
        "charts": charts_of(kind),
        "typical": typical_of(kind),
        "examples": [example_of(kind)],
        "ordinary": [example_of(kind) | {"row": 7}] if kind == "boxes" else [],
        "test_sha256": "t",
        "weights_sha256": "w",
    }


def training_of(kind: str) -> dict[str, Any]:
    names = ("loss", *MODES[kind])
    return {
        "run_id": "r",
        "monitor": "val/loss",
        "epochs": 3,
        "best_epoch": 1,
        "steps": 30,
        "scores": {f"{split}/{item}": 0.7 for split in ("train", "val", "gap") for item in names},
        "cost": {"seconds": 61.0, "parameters": 1234, "trainable": 1234, "peak_memory_mb": 600},
        "machine": "a processor, 2 cores",
        "commit": "c0ffee",
        "dirty": "false",
        "weights_sha256": "w",
    }


def spec_of(kind: str, labels: list[str]) -> dict[str, Any]:
    field = {"shape": [4], "dtype": "float32"}
    return {
        "data": "goodfit.data.nowhere.Nothing",
        "kind": kind,
        "outputs": 3 if kind == "series" else 2,
        "inputs": {"past" if kind == "series" else "numbers": field},
        "targets": {"target": field | {"labels": labels}},
        "facts": {},
        "assets": {},
    }


def manifest_of(labels: list[str]) -> dict[str, Any]:
    counts = dict.fromkeys(labels or ["samples"], 10)
    return {
        "counts": dict.fromkeys(("train", "validation", "test"), counts),
        "copies": {"rows": 2, "with_another_target": 1},
        "alike_after_encoding": 0,
        "in_no_split": 0,
        "raw_sha256": {"table": "a"},
        "sha256": "b",
        "test_sha256": "t",
        "files": {},
        "made_with": {},
        "split": "at random",
    }

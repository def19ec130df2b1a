"""What the pages are made of: one experiment's files, read and checked, and facts drawn from them."""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from goodfit import lineage
from goodfit.charts import Row
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.files import read_json
from goodfit.mask import mask
from goodfit.places import Places
from goodfit.report_words import measured
from goodfit.signature import source_file

BADGES = {
    1: ("good", "\N{CHECK MARK}", "beats"),
    0: ("tie", "=", "ties with"),
    -1: ("bad", "\N{MULTIPLICATION X}", "loses to"),
}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Experiment:
    """The evaluation of a trained network, and the training's own record."""

    name: str
    evaluation: dict[str, Any]
    train: dict[str, Any]
    spec: DataSpec

    @classmethod
    def read(cls, name: str) -> Experiment:
        """Raises UserError that names the stage to run where one has not run yet."""
        places = Places(name)
        needed = {places.model / "train.json": "train", places.evaluation / "evaluation.json": "evaluate"}
        for path, stage in needed.items():
            if not path.exists():
                raise UserError(f"{path} does not exist; make it with `dvc repro {stage}@{name}`")
        train, evaluation = map(read_json, needed)
        return cls(name, evaluation, train, DataSpec.read(places.model / "spec.json"))

    @property
    def score(self) -> str:
        """The headline score's name."""
        return str(self.evaluation["score"])

    @property
    def mode(self) -> str:
        """max or min."""
        return str(self.evaluation["modes"][self.score])

    @property
    def found(self) -> dict[str, float]:
        """The network's headline score: value, low, high."""
        return dict(self.evaluation["network"][self.score])

    @property
    def strong(self) -> dict[str, Any]:
        """The baseline that the verdict is about."""
        return next(item for item in self.evaluation["baselines"] if item["role"] == "strong")

    @property
    def against(self) -> dict[str, Any]:
        """The paired difference from the strong baseline, with its outcome."""
        return next(item for item in self.evaluation["verdict"]["against"] if item["role"] == "strong")

    @property
    def badge(self) -> dict[str, str]:
        """The verdict as a colour, a sign and words: never as a colour alone."""
        look, sign, word = BADGES[self.against["outcome"]]
        return {"look": look, "sign": sign, "word": word, "text": f"{word} {self.strong['title']}"}

    @property
    def unit(self) -> str:
        """` in kW`, where the data say so."""
        unit = self.spec.facts.get("unit")
        return f" in {unit}" if unit else ""

    @property
    def score_unit(self) -> str:
        """` in kW` for a score that has the unit of the target."""
        return self.unit if self.score in ("mae", "rmse") else ""

    @property
    def step(self) -> str:
        """` of 30 min`, where the data say so."""
        step = self.spec.facts.get("step")
        return f" of {step}" if step else ""

    @property
    def baselines(self) -> list[dict[str, Any]]:
        """The strong one first."""
        return sorted(self.evaluation["baselines"], key=_weak)

    @property
    def data_kind(self) -> str:
        """What goes in and what is asked for, in three words."""
        fields = self.spec.inputs.values()
        picture = any(field.dtype == "uint8" and len(field.shape) == 3 for field in fields)
        names = {"tokens": "text", "past": "series"}
        what = "image" if picture else next((names[name] for name in self.spec.inputs if name in names), "table")
        asked = {"class": f"{self.spec.outputs} classes", "series": f"{self.spec.outputs} steps"}
        return f"{what} \N{RIGHTWARDS ARROW} {asked.get(self.spec.kind, 'a number')}"

    def rows(self, roles: tuple[str, ...] = ("trivial", "strong")) -> list[Row]:
        """The headline score of the network and of the baselines, for an interval plot."""
        rows = [_row(f"network ({self.evaluation['model']})", self.found, measured(self.found), strong=True)]
        for item in self.baselines:
            scores = item["scores"][self.score]
            trivial = " (trivial)" if item["role"] == "trivial" else ""
            rows += (
                [_row(item["title"] + trivial, scores, measured(scores), aside=bool(trivial))]
                if item["role"] in roles
                else []
            )
        return rows

    def differences(self) -> list[Row]:
        """How much better the network is than each baseline on the same samples."""
        return [
            _row(
                f"than {item['title']}",
                item["difference"],
                measured(item["difference"], sign=True),
                strong=item["role"] == "strong",
                aside=item["role"] == "trivial",
            )
            for item in sorted(self.evaluation["verdict"]["against"], key=_weak)
        ]


def experiments() -> list[Experiment]:
    """Every experiment of the repository that has been trained and evaluated, by name."""
    names = sorted(path.parents[1].name for path in Path("report").glob("*/evaluation/evaluation.json"))
    return [Experiment.read(name) for name in names if (Places(name).model / "train.json").exists()]


def history(name: str) -> list[dict[str, float]]:
    """One row for each epoch; an empty cell is NaN."""
    with (Places(name).model / "history.csv").open(newline="") as stream:
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(stream)]


def predictions(name: str) -> dict[str, np.ndarray[Any, Any]]:
    """What every method said about every test sample; nothing where evaluate kept nothing."""
    path = Places(name).evaluation / "predictions.npz"
    if not path.exists():
        return {}
    with np.load(path) as stored:
        return {key: stored[key] for key in stored.files}


def about(spec: DataSpec) -> str:
    """The first line of the data set's module, which says what the data are; "" where it cannot be found."""
    path = source_file(spec.data.rpartition(".")[0])
    text = ast.get_docstring(ast.parse(path.read_text())) if path else None
    return (text or "").partition("\n")[0]


def data(experiment: Experiment) -> dict[str, Any]:
    """Counts, shapes and how the splits were made."""
    spec = experiment.spec
    manifest = read_json(Places(experiment.name).prepared / "manifest.json")
    counts = manifest["counts"]
    names = [*spec.labels, *(name for name in counts["train"] if name not in spec.labels)]
    table = [(name, [counts[split].get(name, 0) for split in SPLITS]) for name in names]
    fields = {**spec.inputs, "target": spec.target}
    settings = yaml.safe_load(config(experiment.name)).get("data", {})
    hidden = {"_target_", "source", "kind", "label"}
    return {
        "manifest": manifest,
        "counts": table,
        "totals": [sum(counts[split].values()) for split in SPLITS],
        "fields": [(name, shape(field.shape), field.dtype) for name, field in fields.items()],
        "settings": {key: value for key, value in settings.items() if key not in hidden},
        "words": len(spec.vocabulary),
        "stale": _stale(experiment, manifest),
    }


def shape(sizes: tuple[int, ...]) -> str:
    """1 × 28 × 28, or that it is one number."""
    return " \N{MULTIPLICATION SIGN} ".join(map(str, sizes)) if sizes else "one number"


def config(name: str) -> str:
    """The configuration that the model was trained with, without the values of secrets."""
    text = (Places(name).model / "config.yaml").read_text()
    return mask(text, config=text)


def origin(experiment: Experiment, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the result comes from, as pairs of name and value."""
    places, facts = Places(experiment.name), experiment.train
    dirty = {"true": "with uncommitted changes", "false": "clean"}.get(facts["dirty"], "not a git repository")
    tracked = {"data": lineage.dvc_hash(places.prepared), "model": lineage.dvc_hash(places.model)}
    return [
        ("Commit that trained it", f"{facts['commit']} ({dirty})"),
        ("MLflow run of the training", experiment.train["run_id"]),
        ("Weights, SHA-256", experiment.train["weights_sha256"]),
        ("Raw data, SHA-256", manifest["raw_sha256"]),
        ("Prepared data, SHA-256", manifest["sha256"]),
        ("Test split, SHA-256", manifest["test_sha256"]),
        *((f"DVC's hash of the {what}", value or "not in dvc.lock yet") for what, value in tracked.items()),
    ]


def code(name: str) -> dict[str, str]:
    """Hashes of the source files, and versions of the libraries, that training and evaluating used."""
    path = Places(name).config
    content = yaml.safe_load(path.read_text()) if path.exists() else {}
    stages = content.get("sources", {})
    return dict(sorted({**stages.get("train", {}), **stages.get("evaluate", {})}.items()))


def half_width(found: Mapping[str, float]) -> float:
    """Half of an interval's width."""
    half = (found["high"] - found["low"]) / 2
    return half if math.isfinite(half) else 0.0


def _weak(item: dict[str, Any]) -> bool:
    return bool(item["role"] != "strong")


def _row(title: str, found: Mapping[str, float], text: str, strong: bool = False, aside: bool = False) -> Row:
    return Row(title, found["value"], found["low"], found["high"], text, strong, aside)


def _stale(experiment: Experiment, manifest: Mapping[str, Any]) -> str:
    """A warning where the files on disk do not belong together; DVC prevents it, copying by hand does not."""
    evaluation, train = experiment.evaluation, experiment.train
    if evaluation["test_sha256"] != manifest["test_sha256"]:
        return "The evaluation was made on other test data than the prepared data hold now."
    if evaluation.get("weights_sha256", train["weights_sha256"]) != train["weights_sha256"]:
        return "The evaluation was made with other weights than the model holds now."
    return ""

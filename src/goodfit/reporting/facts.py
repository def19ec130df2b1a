"""What the pages are made of: one experiment's files, read and checked, and facts drawn from them."""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from goodfit.config.signature import source_file
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance import dvc
from goodfit.records import Comparison, Evaluation, Interval, Manifest, Method, Training
from goodfit.reporting.charts import Row
from goodfit.reporting.words import measured
from goodfit.system.files import read_json
from goodfit.system.secrets import redact

BADGES = {
    1: ("good", "\N{CHECK MARK}", "beats"),
    0: ("tie", "=", "ties with"),
    -1: ("bad", "\N{MULTIPLICATION X}", "loses to"),
}
SPLITS = ("train", "validation", "test")
_IN_UNIT = ("mae", "rmse")  # scores that have the unit of the target
_HIDDEN = {
    "_target_",
    "source",
    "kind",
    "label",
}  # of the section `data`: said elsewhere on the page


@dataclass(frozen=True)
class Experiment:
    """The evaluation of a trained network, and the training's own record."""

    name: str
    evaluation: Evaluation
    training: Training
    spec: DataSpec

    @classmethod
    def read(cls, name: str) -> Experiment:
        """From the files of an experiment.

        Raises:
            UserError: a stage has not run yet, and which.
        """
        paths = Paths(name)
        train, evaluation = paths.model / "train.json", paths.evaluation / "evaluation.json"
        for path, stage in ((train, "train"), (evaluation, "evaluate")):
            if not path.exists():
                raise UserError(f"{path} does not exist; make it with `dvc repro {stage}@{name}`")
        return cls(
            name,
            Evaluation.read(evaluation),
            Training.read(train),
            DataSpec.read(paths.model / "spec.json"),
        )

    @property
    def badge(self) -> dict[str, str]:
        """The verdict as a colour, a sign and words: never as a colour alone."""
        strong = self.evaluation.verdict.strong
        look, sign, word = BADGES[strong.outcome]
        return {"look": look, "sign": sign, "word": word, "text": f"{word} {strong.title}"}

    @property
    def unit(self) -> str | None:
        """kW, where the data say so."""
        return self.spec.facts.get("unit")

    @property
    def score_unit(self) -> str | None:
        """The unit of the headline score, where it has the target's."""
        return self.unit if self.evaluation.score in _IN_UNIT else None

    @property
    def step(self) -> str | None:
        """How long a step of a series is: 30 min."""
        return self.spec.facts.get("step")

    @property
    def baselines(self) -> list[Method]:
        """The strong one first."""
        return sorted(self.evaluation.baselines, key=lambda item: item.role != "strong")

    def rows(self, *, trivial: bool = True) -> list[Row]:
        """The headline score of the network and of the baselines, for an interval plot."""
        headline = self.evaluation.headline
        title = f"network ({self.evaluation.model})"
        rows = [_row(title, headline, measured(headline), strong=True)]
        for item in self.baselines:
            score = item.scores[self.evaluation.score]
            if item.role == "strong":
                rows.append(_row(item.title, score, measured(score)))
            elif trivial:
                rows.append(_row(f"{item.title} (trivial)", score, measured(score), aside=True))
        return rows

    def differences(self) -> list[Row]:
        """How much better the network is than each baseline on the same samples, the strong one
        first.
        """
        rows = []
        for item in sorted(self.evaluation.verdict.against, key=_weak):
            text = measured(item.difference, sign=True)
            strong = item.role == "strong"
            rows.append(
                _row(f"than {item.title}", item.difference, text, strong=strong, aside=not strong)
            )
        return rows


@dataclass(frozen=True)
class DataFacts:
    """What the page says of the data: counts, shapes, and how the splits were made."""

    manifest: Manifest
    counts: list[tuple[str, list[int]]]
    totals: list[int]
    fields: list[tuple[str, str, str]]
    settings: dict[str, Any]
    words: int
    stale: str | None


def experiments() -> list[Experiment]:
    """Every experiment of the repository that has been trained and evaluated, by name."""
    evaluated = sorted(Path("report").glob("*/evaluation/evaluation.json"))
    names = [path.parents[1].name for path in evaluated]
    return [Experiment.read(name) for name in names if (Paths(name).model / "train.json").exists()]


def history(name: str) -> list[dict[str, float]]:
    """One row for each epoch; an empty cell is NaN."""
    with (Paths(name).model / "history.csv").open(newline="") as stream:
        return [_numbers(row) for row in csv.DictReader(stream)]


def about(spec: DataSpec) -> str | None:
    """The first line of the data set's module, which says what the data are."""
    path = source_file(spec.data.rpartition(".")[0])
    text = ast.get_docstring(ast.parse(path.read_text())) if path else None
    return text.partition("\n")[0] if text else None


def data(experiment: Experiment) -> DataFacts:
    """Counts, shapes and how the splits were made."""
    spec = experiment.spec
    manifest = Manifest.read(Paths(experiment.name).prepared / "manifest.json")
    counts = manifest.counts
    names = [*spec.labels, *(name for name in counts["train"] if name not in spec.labels)]
    fields = {**spec.inputs, "target": spec.target}
    settings = yaml.safe_load(config(experiment.name)).get("data", {})
    return DataFacts(
        manifest=manifest,
        counts=[(name, [counts[split].get(name, 0) for split in SPLITS]) for name in names],
        totals=[manifest.samples(split) for split in SPLITS],
        fields=[(name, shape(field.shape), field.dtype) for name, field in fields.items()],
        settings={key: value for key, value in settings.items() if key not in _HIDDEN},
        words=len(spec.vocabulary),
        stale=_stale(experiment, manifest),
    )


def shape(sizes: tuple[int, ...]) -> str:
    """1 × 28 × 28, or that it is one number."""
    return " \N{MULTIPLICATION SIGN} ".join(map(str, sizes)) if sizes else "one number"


def config(name: str) -> str:
    """The configuration that the model was trained with, without the values of secrets."""
    text = (Paths(name).model / "config.yaml").read_text()
    return redact(text, config=text)


def origin(experiment: Experiment, manifest: Manifest) -> list[tuple[str, str]]:
    """Where the result comes from, as pairs of name and value."""
    paths, training = Paths(experiment.name), experiment.training
    clean = {"true": "with uncommitted changes", "false": "clean"}
    state = clean.get(training.dirty, "not a git repository")
    pairs = [
        ("Commit that trained it", f"{training.commit} ({state})"),
        ("MLflow run of the training", training.run_id),
        ("Weights, SHA-256", training.weights_sha256),
        ("Raw data, SHA-256", manifest.raw_sha256),
        ("Prepared data, SHA-256", manifest.sha256),
        ("Test split, SHA-256", manifest.test_sha256),
    ]
    for name, path in (("data", paths.prepared), ("model", paths.model)):
        pairs.append((f"DVC's hash of the {name}", dvc.output_hash(path) or "not in dvc.lock yet"))
    return pairs


def code(name: str) -> dict[str, str]:
    """Hashes of the source files, and versions of the libraries, that training and evaluating used."""
    path = Paths(name).config
    sources = read_json(path).get("sources", {}) if path.exists() else {}
    hashes = {**sources.get("train", {}), **sources.get("evaluate", {})}
    return dict(sorted(hashes.items()))


def half_width(interval: Interval) -> float:
    """Half of an interval's width, 0 where it is not finite."""
    half = (interval.high - interval.low) / 2
    return half if math.isfinite(half) else 0.0


def _weak(item: Comparison) -> bool:
    return item.role != "strong"


def _row(
    title: str, interval: Interval, text: str, strong: bool = False, aside: bool = False
) -> Row:
    return Row(title, interval.value, interval.low, interval.high, text, strong, aside)


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {key: float(value or "nan") for key, value in row.items()}


def _stale(experiment: Experiment, manifest: Manifest) -> str | None:
    """A warning where the files on disk do not belong together; DVC prevents it, copying by hand
    does not.
    """
    evaluation, training = experiment.evaluation, experiment.training
    if evaluation.test_sha256 != manifest.test_sha256:
        return "The evaluation was made on other test data than the prepared data hold now."
    if evaluation.weights_sha256 != training.weights_sha256:
        return "The evaluation was made with other weights than the model holds now."
    return None

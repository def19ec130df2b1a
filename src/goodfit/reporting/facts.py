"""The content of the pages: an experiment's files, read and checked, and facts made of them."""

from __future__ import annotations

import ast
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

import yaml

from goodfit.config import gallery, signature
from goodfit.contract import DataSpec
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance import dvc
from goodfit.records import TOO_FEW, Comparison, Evaluation, Manifest, Method, Role, Training
from goodfit.records.fit import Fit
from goodfit.records.interval import Interval
from goodfit.reporting.charts import Row
from goodfit.reporting.words import measured
from goodfit.store import card
from goodfit.store.card import Part
from goodfit.system.files import read_json
from goodfit.system.secrets import redact

_IN_UNIT = ("mae", "rmse")  # scores that have the unit of the target
# keys of the section `data` that the page shows elsewhere, or does not need
_HIDDEN = {"_target_", "sources", "kind", "label"}


class Badge(NamedTuple):
    """A verdict as a colour, a sign and a word: never as a colour alone."""

    css_class: str
    sign: str
    word: str


BADGES = {
    1: Badge("good", "\N{CHECK MARK}", "beats"),
    0: Badge("tie", "=", "ties with"),
    -1: Badge("bad", "\N{MULTIPLICATION X}", "loses to"),
}
_TOO_FEW = Badge("tie", "?", TOO_FEW)
_FITS = {
    Fit.GOOD: ("good", "\N{CHECK MARK}"),
    Fit.TOO_FEW: ("tie", "?"),
    Fit.UNDERFIT: ("tie", "!"),
}


@dataclass(frozen=True)
class Experiment:
    """What the stages recorded of one trained and evaluated network."""

    name: str
    evaluation: Evaluation
    training: Training
    spec: DataSpec

    @classmethod
    def read(cls, name: str) -> Experiment:
        """The records in the files of an experiment.

        Raises:
            UserError: a stage has not run yet, or its file is broken.
        """
        paths = Paths(name)
        train, evaluation = paths.model / "train.json", paths.evaluation / "evaluation.json"
        for path, stage in ((train, "train"), (evaluation, "evaluate")):
            if not path.exists():
                advice = f"make it with `{gallery.command(stage, name)}`"
                raise UserError(f"{path} does not exist; {advice}")
        return cls(
            name,
            Evaluation.read(evaluation),
            Training.read(train),
            DataSpec.read(paths.model / "spec.json"),
        )

    @property
    def badge(self) -> Badge:
        """The verdict against the strong baseline."""
        if self.evaluation.verdict.too_few:
            return _TOO_FEW
        return BADGES[self.evaluation.verdict.strong.outcome]

    @property
    def fit_badge(self) -> Badge | None:
        """How well the network fits; None where its score is undefined on train or validation."""
        judgement = self.evaluation.fit
        if judgement is None:
            return None
        css_class, sign = _FITS.get(judgement.fit, ("bad", "!"))
        return Badge(css_class, sign, str(judgement.fit))

    @property
    def verdict(self) -> str:
        """The verdict with its opponent: beats logistic regression."""
        if self.evaluation.verdict.too_few:
            return TOO_FEW
        return f"{self.badge.word} {self.evaluation.verdict.strong.title}"

    @property
    def unit(self) -> str | None:
        """The target's unit, such as kW; None where the data do not say."""
        return self.spec.facts.get("unit")

    @property
    def score_unit(self) -> str | None:
        """The unit of the headline score; None unless it is the target's."""
        return self.unit if self.evaluation.score in _IN_UNIT else None

    @property
    def step(self) -> str | None:
        """The length of a step of a series, such as 30 min; None where the data do not say."""
        return self.spec.facts.get("step")

    @property
    def baselines(self) -> list[Method]:
        """All baselines, the strong one first."""
        return sorted(self.evaluation.baselines, key=_rank)

    def rows(self, *, only_strong: bool = False) -> list[Row]:
        """The headline score of the network and of the baselines, for a forest plot."""
        headline = self.evaluation.headline
        title = f"network ({self.evaluation.model})"
        rows = [_row(title, headline, measured(headline), strong=True)]
        for item in self.baselines:
            if only_strong and item.role != "strong":
                continue
            score = item.scores[self.evaluation.score]
            if item.role != "trivial":
                rows.append(_row(item.title, score, measured(score)))
            else:
                title = f"{item.title} (trivial)"
                rows.append(_row(title, score, measured(score), may_overflow=True))
        return rows

    def differences(self) -> list[Row]:
        """The paired differences from each baseline, for a forest plot, the strong one first."""
        rows = []
        for item in sorted(self.evaluation.verdict.against, key=_rank):
            title = f"than {item.title}"
            text = measured(item.difference, sign=True)
            trivial = item.role == "trivial"
            row = _row(title, item.difference, text, strong=not trivial, may_overflow=trivial)
            rows.append(row)
        return rows


@dataclass(frozen=True)
class DataFacts:
    """What the page says of the data.

    `counts` holds a label with its samples in each of SPLITS, `totals` the sums, `parts` what
    the manifest says; `fields` a name with shape and type of one sample. `stale` is a warning that
    the files do not belong together.
    """

    manifest: Manifest
    counts: list[tuple[str, list[int]]]
    totals: list[int]
    parts: list[Part]
    fields: list[tuple[str, str, str]]
    settings: dict[str, str]
    vocabulary_size: int
    stale: str | None


def evaluated() -> list[str]:
    """The names of all experiments that have been trained and evaluated, sorted."""
    names = [path.parents[1].name for path in Path("report").glob("*/evaluation/evaluation.json")]
    return sorted(name for name in names if (Paths(name).model / "train.json").exists())


def history(name: str) -> list[dict[str, float]]:
    """The rows of the learning curves, one for each epoch; an empty cell is NaN.

    Raises:
        UserError: the file is missing, or holds no numbers.
    """
    path = Paths(name).model / "history.csv"
    try:
        rows = [_numbers(row) for row in csv.DictReader(_read_text(path).splitlines())]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is broken ({error}); `dvc repro` makes it again") from None
    if not rows:
        raise UserError(f"{path} holds no epoch; `dvc repro` makes it again")
    return rows


def about(spec: DataSpec) -> str | None:
    """The first line of the data set's module, which says what the data are.

    None where the data set reads anybody's file. The module is read, not imported: a page needs
    none of the libraries that it imports.
    """
    data_set = signature.read(spec.data)
    if data_set and data_set.constants.get("generic"):
        return None
    path = signature.source_file(spec.data.rpartition(".")[0])
    text = ast.get_docstring(ast.parse(path.read_text())) if path else None
    return text.partition("\n")[0] if text else None


def data(experiment: Experiment) -> DataFacts:
    """Counts, shapes and how the splits were made.

    Raises:
        UserError: the manifest or the model's configuration is missing or broken.
    """
    spec = experiment.spec
    manifest = Manifest.read(Paths(experiment.name).prepared / "manifest.json")
    fields = {**spec.inputs, **spec.targets}
    return DataFacts(
        manifest=manifest,
        counts=_counts(manifest, spec),
        totals=[manifest.samples(split) for split in SPLITS],
        parts=list(card.parts(manifest)),
        fields=[(name, shape(field.shape), field.dtype) for name, field in fields.items()],
        settings=_settings(experiment.name),
        vocabulary_size=max(len(field.vocabulary) for field in spec.inputs.values()),
        stale=_stale(experiment, manifest),
    )


def shape(sizes: tuple[int | None, ...]) -> str:
    """A shape in words: 1 × 28 × 28, or that it is one number; a ragged one's length is "any"."""
    words = ["any" if size is None else str(size) for size in sizes]
    return " \N{MULTIPLICATION SIGN} ".join(words) if words else "one number"


def config(name: str) -> str:
    """The configuration that the model was trained with, without the values of secrets.

    Raises:
        UserError: its file is missing.
    """
    text = _read_text(Paths(name).model / "config.yaml")
    return redact(text, config=text)


def origin(experiment: Experiment, manifest: Manifest) -> list[tuple[str, str]]:
    """The result's provenance, as pairs of name and value.

    Raises:
        UserError: dvc.lock cannot be read.
    """
    paths, training = Paths(experiment.name), experiment.training
    states = {"true": "with uncommitted changes", "false": "clean"}
    unknown = "not a git repository" if training.commit == "none" else "changes unknown"
    state = states.get(training.dirty, unknown)
    pairs = [
        ("Commit that trained it", f"{training.commit} ({state})"),
        ("MLflow run of the training", training.run_id),
        ("Weights, SHA-256", training.weights_sha256),
        *((f"Raw data {source}, SHA-256", sha) for source, sha in manifest.raw_sha256.items()),
        ("Prepared data, SHA-256", manifest.sha256),
        ("Test split, SHA-256", manifest.test_sha256),
    ]
    if training.pretrained_sha256:
        pairs.append(("Pretrained weights, SHA-256", training.pretrained_sha256))
    for name, path in (("data", paths.prepared), ("model", paths.model)):
        pairs.append((f"DVC's hash of the {name}", dvc.output_hash(path) or "not in dvc.lock yet"))
    return pairs


def code(name: str) -> dict[str, str]:
    """Hashes of the source files and versions of the libraries behind training and evaluation."""
    path = Paths(name).config
    sources = read_json(path).get("sources", {}) if path.exists() else {}
    hashes = {**sources.get("train", {}), **sources.get("evaluate", {})}
    return dict(sorted(hashes.items()))


def _rank(item: Method | Comparison) -> int:
    """Where a baseline stands in tables, by its role."""
    return get_args(Role).index(item.role)


def _row(
    title: str, interval: Interval, text: str, *, strong: bool = False, may_overflow: bool = False
) -> Row:
    value, low, high = interval.value, interval.low, interval.high
    return Row(title, value, low, high, text, strong=strong, may_overflow=may_overflow)


def _counts(manifest: Manifest, spec: DataSpec) -> list[tuple[str, list[int]]]:
    """Samples of each split by label, in the order of the labels; others than labels come last."""
    by_split = manifest.counts
    names = [*spec.labels, *(name for name in by_split["train"] if name not in spec.labels)]
    counts = []
    for name in names:
        counts.append((name, [by_split[split].get(name, 0) for split in SPLITS]))
    return counts


def _settings(name: str) -> dict[str, str]:
    """The section `data` of the model's configuration, without the values of secrets."""
    path = Paths(name).model / "config.yaml"
    text = _read_text(path)
    # not what `config` gives: a value that is hidden as *** is no YAML any more
    try:
        section = yaml.safe_load(text)["data"].items()
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        raise UserError(
            f"{path} is no configuration with a section data; `dvc repro` makes it again"
        ) from None
    return {
        str(key): redact(str(value), config=text) for key, value in section if key not in _HIDDEN
    }


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; `dvc repro` makes it") from None


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {key: float(value or "nan") for key, value in row.items()}


def _stale(experiment: Experiment, manifest: Manifest) -> str | None:
    """A warning where the files on disk do not belong together, as after copying some by hand."""
    evaluation, training = experiment.evaluation, experiment.training
    if evaluation.test_sha256 != manifest.test_sha256:
        return "The evaluation was made on other test data than the prepared data hold now."
    if evaluation.weights_sha256 != training.weights_sha256:
        return "The evaluation was made with other weights than the model holds now."
    return None

"""Where an experiment's files lie, relative to the repository's root, as in dvc.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

INBOX = Path("data/inbox")  # for files that were downloaded by hand
RAW = Path("data/raw")  # of all experiments
PREPARED = Path("data/prepared")  # of all experiments
PRETRAINED = Path("data/pretrained")  # of all experiments


def choices(folder: Path) -> list[str]:
    """What a group of conf/ offers, sorted: its files, those of sub-folders with their path."""
    files = [path.relative_to(folder) for path in folder.rglob("*.yaml")]
    return sorted(str(file.with_suffix("")) for file in files)


def pretrained_path(sha256: str | None, filename: str) -> Path:
    """Where a file of pretrained weights lies; no other file can lie there, nor another version."""
    return PRETRAINED / (sha256 or "not pinned") / filename


@dataclass(frozen=True)
class Paths:
    """The folders and files of one experiment, one for each stage's output."""

    name: str

    @property
    def config(self) -> Path:
        """The composed configuration: written by compose, read by every other stage."""
        # JSON: DVC reads it for each stage, and reading YAML took a third of a `dvc repro` that had
        # nothing to do
        return Path("build") / f"{self.name}.json"

    @property
    def raw(self) -> Path:
        """The raw data as they were published: one file in the folder of each source."""
        return RAW / self.name

    @property
    def prepared(self) -> Path:
        """The folder of the packed arrays, spec.json and manifest.json."""
        return PREPARED / self.name

    @property
    def model(self) -> Path:
        """A trained model: config.yaml, spec.json and weights.pt, with what training measured."""
        return Path("models") / self.name

    @property
    def evaluation(self) -> Path:
        """What evaluate measured on test data: evaluation.json and statistics.npz."""
        return Path("report") / self.name / "evaluation"

    @property
    def metrics(self) -> Path:
        """The few numbers that `dvc metrics show` prints."""
        return Path("report") / self.name / "metrics.json"

    @property
    def curves(self) -> Path:
        """Loss by epoch and split, for `dvc plots show`."""
        return Path("report") / self.name / "curves.csv"

    @property
    def scores(self) -> Path:
        """The headline score of each method, for `dvc plots show`."""
        return Path("report") / self.name / "scores.csv"

    @property
    def page(self) -> Path:
        """The experiment's report."""
        return Path("report") / self.name / "index.html"

    @property
    def fit(self) -> Path:
        """What was asked of its fit by hand, and the page about that; no stage makes it."""
        return Path("report") / self.name / "fit"

    @property
    def registered(self) -> Path:
        """What register did, and why."""
        return Path("report") / self.name / "registered.json"

    @property
    def openings(self) -> Path:
        """Which models have opened its test sets: for git, as DVC would delete it with a stage."""
        return Path("openings") / f"{self.name}.txt"

    @property
    def shuffled(self) -> Path:
        """What trainings on shuffled targets gave; each is of the data whose hash it holds."""
        return Path("build/shuffled") / f"{self.name}.json"

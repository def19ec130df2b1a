"""`make tables`: networks for tables against gradient boosting, on seven public tables.

Each network is trained with three seeds, boosting chooses its settings on validation as it does
everywhere. Test is opened once all of them are trained. What was measured of a table is kept in
build/tables/, and docs/tables.md is written from all that lies there.

Letters: N test samples, R resampled test sets.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from goodfit.cli import guarded
from goodfit.data.split import SPLITS
from goodfit.errors import UserError, nearest
from goodfit.evaluation import baselines
from goodfit.evaluation.bootstrap import Resampled, Resamples, compare, interval, intervals
from goodfit.evaluation.verdict import WORDS
from goodfit.records import Manifest, Training
from goodfit.records.interval import Interval
from goodfit.system.files import write_text
from goodfit.system.record import Record

if TYPE_CHECKING:
    from goodfit.store.arrays import Packed
    from goodfit.task.base import Task
    from goodfit.task.scores import Statistics

    Answers = dict[str, Statistics]  # by network and seed

TABLES = ("attrition", "cells", "credit", "brain_barrier", "ridership", "flights", "diamonds")
NETWORKS = ("tabm", "mlp")
SEEDS = (0, 1, 2)
PAGE = Path("docs/tables.md")
RESULTS = Path("build/tables")
OPPONENT = "gradient boosting"
_TITLES = {"tabm": "`model=tabm`", "mlp": "`model=mlp`"}
_COLUMNS = (
    "| table | score | boosting on validation | network on validation | boosting | network "
    "| better by | verdict | each seed | seconds | parameters |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
_HEAD = """# Networks for tables against gradient boosting

Written by `make tables`, not edited by hand. Each network is trained with the seeds 0, 1 and 2, \
with one set of hyperparameters for all tables, that of `conf/model/`; boosting is the baseline \
`boosting`, which chooses its settings and its number of trees on validation. Scores are of test, \
the mean over seeds; those of validation chose the weights, and the trees.

Brackets are 95 % intervals over 1,000 resampled test sets, the same ones for all; "better by" is \
the paired difference, positive where the network is better, and a tie is one whose interval holds \
zero. Rows are split at random: of `ridership`, days between those of train are estimated, and no \
future is forecast. Each table is an experiment, `make repro ONLY=cells`; of its own it has the \
size of a batch and the number of epochs.
"""


@dataclass(frozen=True, kw_only=True)
class Network(Record):
    """A network's mean over seeds, and the paired difference from boosting: positive is better."""

    score: Interval
    validation: float
    by_seed: tuple[float, ...]
    outcome: int
    difference: Interval
    seconds: float  # of a training, on average
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Measured(Record):
    """What was measured on one table; `samples` are those of train, validation and test."""

    name: str
    about: str
    score: str
    samples: tuple[int, ...]
    columns: int
    test_sha256: str
    boosting: Interval
    boosting_validation: float
    networks: dict[str, Network]
    machine: str


def main() -> None:
    """Measures the tables that the command line names, all where it names none.

    Raises:
        UserError: there is no such table, or its data cannot be had.
    """
    for name in sys.argv[1:]:
        if name not in TABLES:
            raise UserError(f"no table is named '{name}'.{nearest(name, TABLES)}")
    root = Path.cwd()
    (root / RESULTS).mkdir(parents=True, exist_ok=True)
    with _workplace(root):
        for name in sys.argv[1:] or TABLES:
            measured = measure(root, name)
            measured.write(root / RESULTS / f"{name}.json")
            for network in NETWORKS:
                print(_row(measured, network), flush=True)
    found = [root / RESULTS / f"{name}.json" for name in TABLES]
    page([Measured.read(path) for path in found if path.exists()])


@contextlib.contextmanager
def _workplace(root: Path) -> Iterator[None]:
    """A temporary folder, in which everything is made that is not to be kept."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("data").mkdir()
        Path("data/inbox").symlink_to(root / "data/inbox")
        yield


def measure(root: Path, name: str) -> Measured:
    """Fetches, prepares and trains, then scores."""
    from goodfit.stages import fetch, prepare

    cfg = composed(root, name, NETWORKS[0], SEEDS[0])
    fetch.stage(cfg)
    prepare.stage(cfg)
    folders = {}
    for network in NETWORKS:
        folders[network] = [trained(composed(root, name, network, seed)) for seed in SEEDS]
    return scored(cfg, folders)


def scored(cfg: DictConfig, folders: Mapping[str, Sequence[Path]]) -> Measured:
    """All methods on the same resampled test sets; `folders` are a network's models by its name."""
    from goodfit.paths import Paths
    from goodfit.store.arrays import Packed

    name = str(cfg.name)
    data = Paths(name).prepared
    test = Packed(data, "test")
    task, statistics = _answers(folders, test)
    opponent = baselines.answers(cfg, data, task)[OPPONENT]
    assert opponent.validation is not None  # validation has all classes
    scores = intervals(
        {task.score: task.metrics()[task.score]},
        {**statistics, OPPONENT: opponent.statistics},
        Resamples(test.clusters, cfg.evaluate.resamples, seed=0, weight=test.sample_weight),
        additive=task.additive,
        ranges=task.ranges,
    )
    of_titles = {title: of_title[task.score] for title, of_title in scores.items()}
    networks = {}
    for network, of_seeds in folders.items():
        mode = task.scores[task.score]
        networks[network] = _network(network, of_seeds, of_titles, mode, task.score)
    manifest = Manifest.read(data / "manifest.json")
    return Measured(
        name=name,
        about=str(cfg.about),
        score=task.score,
        samples=tuple(manifest.samples(split) for split in SPLITS),
        columns=sum(column.read_as is not None for column in manifest.columns) - 1,  # the target
        test_sha256=manifest.test_sha256,
        boosting=of_titles[OPPONENT].interval,
        boosting_validation=opponent.validation,
        networks=networks,
        machine=Training.read(folders[NETWORKS[0]][0] / "train.json").machine,
    )


def composed(root: Path, name: str, network: str, seed: int) -> DictConfig:
    from goodfit.config.compose import compose

    overrides = [f"experiment={name}", f"model={network}", f"seed={seed}", "resume=never"]
    cfg: DictConfig = compose(root, [*overrides, "tracking.uri='sqlite:///mlflow.db'"])
    return cfg


def trained(cfg: DictConfig) -> Path:
    """The folder of a model."""
    from goodfit.launch.fit import fit

    result = fit(cfg)
    assert result is not None  # this machine is the first
    assert result.folder is not None  # and the model is kept
    return result.folder


def _answers(folders: Mapping[str, Sequence[Path]], test: Packed) -> tuple[Task, Answers]:
    """The task, and the statistics (N, ...) of each network's answers for each seed."""
    from goodfit.predictor import Predictor

    statistics: Answers = {}
    for network, of_seeds in folders.items():
        for seed, folder in zip(SEEDS, of_seeds, strict=True):
            predictor = Predictor.load(folder)
            statistics[f"{network} {seed}"] = predictor.measure(test).statistics
    return predictor.task, statistics


def _network(
    network: str, folders: Sequence[Path], scores: Mapping[str, Resampled], mode: str, score: str
) -> Network:
    """The mean over seeds of a network against boosting, both on the same test sets."""
    of_seeds = [scores[f"{network} {seed}"] for seed in SEEDS]
    trainings = [Training.read(folder / "train.json") for folder in folders]
    mean = mean_over_seeds(of_seeds)
    outcome, difference = compare(mean, scores[OPPONENT], mode)
    return Network(
        score=mean.interval,
        validation=float(np.mean([training.scores[f"val/{score}"] for training in trainings])),
        by_seed=tuple(one.interval.value for one in of_seeds),
        outcome=outcome,
        difference=difference,
        seconds=float(np.mean([training.cost.seconds for training in trainings])),
        parameters=trainings[0].cost.parameters,
    )


def mean_over_seeds(of_seeds: Sequence[Resampled]) -> Resampled:
    """The score of a network whose seed is drawn: the mean, in each of the R test sets as well.

    Its interval is that of test sets, and holds a third of the variance between seeds: with three
    of them, they cannot be resampled.
    """
    values = np.mean([one.values for one in of_seeds], 0)
    value = float(np.mean([one.interval.value for one in of_seeds]))
    first = of_seeds[0]
    own = interval(value, values, first.alike)
    return Resampled(own, values, first.units, first.alike, first.span)


def page(tables: Sequence[Measured]) -> None:
    """Writes docs/tables.md."""
    lines = [_HEAD]
    for network in NETWORKS:
        lines += [f"## {_TITLES[network]}", "", _count(tables, network), "", *_COLUMNS]
        lines += [*(_row(table, network) for table in tables), ""]
    lines += ["## The tables", "", "| table | what it is | rows to train on, choose on, test on | "]
    lines[-1] += "columns | SHA-256 of the test split |"
    lines.append("|---|---|---|---|---|")
    for table in tables:
        rows = ", ".join(f"{count:,}" for count in table.samples)
        lines.append(
            f"| `{table.name}` | {table.about} | {rows} | {table.columns:,} "
            f"| `{table.test_sha256[:16]}` |"
        )
    missing = [f"`{name}`" for name in TABLES if name not in {table.name for table in tables}]
    if missing:
        lines += ["", f"Not measured: {', '.join(missing)}."]
    machines = " and ".join(sorted({table.machine for table in tables}))
    lines += ["", f"Trained on {machines}, which other work shared.", ""]
    write_text(PAGE, "\n".join(lines))
    print(f"wrote {PAGE}")


def _count(tables: Sequence[Measured], network: str) -> str:
    """In a sentence, on which tables the network is better, alike and worse."""
    parts = []
    for outcome, word in WORDS.items():
        names = [
            f"`{table.name}`" for table in tables if table.networks[network].outcome == outcome
        ]
        if names:
            parts.append(f"{word} boosting on {len(names)} ({', '.join(names)})")
    return f"Of {len(tables)} tables it {'; it '.join(parts)}."


def _row(table: Measured, network: str) -> str:
    """A line of the page."""
    one = table.networks[network]
    seeds = ", ".join(f"{value:.4g}" for value in one.by_seed)
    cells = [
        f"`{table.name}`",
        table.score,
        f"{table.boosting_validation:.4g}",
        f"{one.validation:.4g}",
        table.boosting.text(),
        one.score.text(),
        one.difference.text(sign=True),
        WORDS[one.outcome],
        seeds,
        f"{one.seconds:.0f}",
        f"{one.parameters:,}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    guarded(main)

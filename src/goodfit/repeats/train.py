"""Trains one experiment on several folds, with several seeds, or both, and goes on after a stop.

Letters: S seeds, R resampled sets.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from goodfit import build
from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.evaluation.bootstrap import Resamples, intervals
from goodfit.evaluation.repeated import over_folds, over_seeds
from goodfit.launch import devices, resume
from goodfit.launch.fit import fit, print_devices
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records import Training
from goodfit.repeats import folds as fold_data
from goodfit.repeats import result
from goodfit.repeats.result import Repeated, Single
from goodfit.store.arrays import Packed
from goodfit.store.manifest import verify
from goodfit.system import units
from goodfit.system.claim import claim
from goodfit.system.record import Record
from goodfit.task.base import Task
from goodfit.tracking import runs
from goodfit.tracking.run_name import changed

ROOT = Path("build/repeats")
_ANY = (-math.inf, math.inf)  # the range of a score that declares none
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Planned:
    """One training: its fold, from 1, or None; its data, None for the experiment's own.

    `given` are the overrides that are its own, of which one names the seed.
    """

    cfg: DictConfig
    fold: int | None
    data: Path | None
    folder: Path  # of its model, once it is finished
    given: tuple[str, ...]
    started_by: str  # as MLflow tells it: fold, seed or share

    @property
    def title(self) -> str:
        """What messages call it."""
        seed = f"seed {self.cfg.seed}"
        if self.started_by == "share":
            return f"share {self.cfg.loader.share:g}, {seed}"
        return f"fold {self.fold}, {seed}" if self.fold else seed


@dataclass(frozen=True)
class Parent(Record):
    """The run under which the trainings of a folder are nested."""

    run_id: str


@dataclass(frozen=True)
class Place:
    """Where trainings that belong together lie: what they gave in `root`, each in its folder."""

    root: Path
    planned: tuple[Planned, ...]

    @property
    def models(self) -> list[Path]:
        """The folders of the models, by fold, then by seed."""
        return [one.folder for one in self.planned]


def place(cfg: DictConfig, *, folds: int | None, seeds: int | None) -> Place:
    """Where `repeat` keeps what it trains; folds are prepared where they are not.

    Raises:
        UserError: the data cannot be divided so, or are not prepared.
    """
    values = _seeds(cfg, seeds)
    data: list[Path | None] = [*fold_data.prepared(cfg, folds)] if folds else [None]
    root = ROOT / cfg.name / digest(cfg, data, values)
    return Place(root, tuple(_planned(cfg, folds, data, values, root)))


def repeat(
    cfg: DictConfig, *, folds: int | None, seeds: int | None, overrides: Sequence[str]
) -> Repeated:
    """The scores of every fold and seed on what each held out, their mean, and its interval.

    Seeds are seed, seed + 1, ... A finished training is not repeated by the same command; one that
    was cut goes on. `overrides` are those of each training.

    Raises:
        UserError: the data cannot be divided so, configuration and data do not fit, or another
            process trains the same.
        FailureError: a training could not be finished.
    """
    values, there = _seeds(cfg, seeds), place(cfg, folds=folds, seeds=seeds)
    root, planned = there.root, there.planned
    with claimed(root):
        if cfg.resume == "never":
            shutil.rmtree(root, ignore_errors=True)
        if (root / result.FILE).is_file():
            found, _ = result.read(root)
            if runs.find(str(cfg.tracking.uri), found.run_id):
                print(f"trained before, in run {found.run_id}; resume=never trains anew")
                return found
        with runs.run_status(_parent(cfg, root, folds, values, overrides)) as parent:
            print_devices(cfg, devices.resolved(cfg))
            singles = train_all(planned, parent.run_id, overrides)
            found, resampled = _summed_up(cfg, folds, values, planned, singles, parent.run_id)
            if resampled is not None:
                np.save(root / result.VALUES, resampled)
            found.write(root / result.FILE)
            _log(parent, root, found)
    return found


def _seeds(cfg: DictConfig, count: int | None) -> list[int]:
    return [int(cfg.seed) + offset for offset in range(count or 1)]


def digest(cfg: DictConfig, data: Sequence[Path | None], seeds: Sequence[int], *more: str) -> str:
    """The same for a command that computes the same, here and after a stop; `more` decides, too."""
    own, world = Paths(cfg.name).prepared, devices.world(devices.resolved(cfg))
    lines = [f"seeds {list(seeds)}", f"score {cfg.task.score}", f"{cfg.evaluate.resamples} sets"]
    lines += more
    for folder in data:
        manifest = verify(folder or own, "train", "validation")
        lines += [f"{item}" for item in sorted(resume.facts(cfg, manifest, world).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


@contextmanager
def claimed(root: Path) -> Iterator[None]:
    """In the block, no other process trains the same.

    Raises:
        UserError: one does.
    """
    with claim(root.with_name(f".{root.name}.lock")) as process:
        if process:
            raise UserError(
                f"{root} is being trained by process {process}; wait for it, or stop it"
            )
        yield


def _planned(
    cfg: DictConfig,
    folds: int | None,
    data: Sequence[Path | None],
    seeds: Sequence[int],
    root: Path,
) -> Iterator[Planned]:
    for number, folder in enumerate(data, 1):
        for seed in seeds:
            name = f"fold {number} of {folds}, seed {seed}" if folds else f"seed {seed}"
            own = OmegaConf.merge(cfg, {"seed": seed, "tracking": {"run_name": name}})
            assert isinstance(own, DictConfig)
            fold = number if folds else None
            where, kind = root / f"fold-{fold or 0}-seed-{seed}", "fold" if fold else "seed"
            yield Planned(own, fold, folder, where, (f"seed={seed}",), kind)


def _parent(
    cfg: DictConfig,
    root: Path,
    folds: int | None,
    seeds: Sequence[int],
    overrides: Sequence[str],
) -> runs.Run:
    """The run of folds and seeds, by `open_parent`."""
    asked = [f"cv={folds}"] * bool(folds) + [f"seeds={len(seeds)}"] * (len(seeds) > 1)
    tags = {
        "goodfit.started_by": "cv" if folds else "seeds",
        "goodfit.cv": str(folds or ""),
        "goodfit.seeds": " ".join(map(str, seeds)),
        "mlflow.source.name": "pipelines/train.py",
    }
    return open_parent(cfg, root, asked, overrides, tags)


def open_parent(
    cfg: DictConfig,
    root: Path,
    asked: Sequence[str],
    overrides: Sequence[str],
    tags: Mapping[str, str],
) -> runs.Run:
    """The run that the same command began in, if this database has it; else a new one.

    A new one is named by the options that were `asked` for and what `overrides` change.
    """
    uri, path = str(cfg.tracking.uri), root / "parent.json"
    if path.is_file():
        run = runs.find(uri, Parent.read(path).run_id)
        if run:
            runs.mark_killed(run.client, run.experiment)
            return run
        print("MLflow does not have its run any more; starting anew", flush=True)
    shutil.rmtree(root, ignore_errors=True)
    told = changed(overrides)
    title = ", ".join([*asked, told] if told else asked)
    run = runs.start(
        uri,
        cfg.name,
        cfg.tracking.run_name or title,
        tags=dict(tags),
        params=tree.dotted(tree.frozen(cfg)),
    )
    Parent(run.run_id).write(path)
    return run


def train_all(planned: Sequence[Planned], parent: str, overrides: Sequence[str]) -> list[Training]:
    """What each training measured, in their order; those that are finished are not repeated."""
    done: list[Training] = []
    started, trained = time.monotonic(), 0
    for index, one in enumerate(planned, 1):
        facts = one.folder / "train.json"
        if not facts.is_file():
            trained += 1
            fit(
                one.cfg,
                out=one.folder,
                data=one.data,
                overrides=[*overrides, *one.given],
                tags={"mlflow.parentRunId": parent, "goodfit.started_by": one.started_by},
            )
        done.append(Training.read(facts))
        _print_progress(one, done[-1], index, len(planned), trained, time.monotonic() - started)
    return done


def _print_progress(
    one: Planned, training: Training, index: int, count: int, trained: int, seconds: float
) -> None:
    score = one.cfg.task.score
    left = ""
    if trained and index < count:
        left = f", about {units.remaining(seconds / trained * (count - index))} left"
    value = units.number(training.scores[f"val/{score}"], 4)
    print(
        f"{one.title}: {score} {value} in {training.epochs} epochs ({index} of {count}{left})",
        flush=True,
    )


def _summed_up(
    cfg: DictConfig,
    folds: int | None,
    seeds: Sequence[int],
    planned: Sequence[Planned],
    trainings: Sequence[Training],
    run_id: str,
) -> tuple[Repeated, Array | None]:
    """All scores and their mean; of seeds alone, also each seed's resampled scores (S, R)."""
    score = str(cfg.task.score)
    scores = [training.scores[f"val/{score}"] for training in trainings]
    if not np.isfinite(scores).all():
        where = planned[int(np.flatnonzero(~np.isfinite(scores))[0])].title
        raise UserError(f"{where}: {score} is undefined on what is held out; choose fewer folds")
    task = Predictor.load(planned[0].folder).task
    held_out, trained_on, data = _sizes(cfg, planned[:: len(seeds)])
    limits = task.ranges.get(score, _ANY)
    draws = [_resamples(cfg, one) for one in planned[:: len(seeds)]]
    told, drawn = sum(each.told for each in draws), None
    if folds:
        matrix = np.array(scores).reshape(folds, -1)
        estimate = over_folds(matrix, held_out, trained_on, units=told, limits=limits)
    else:
        drawn = _resampled(task, score, planned, draws[0])
        estimate = over_seeds(drawn, scores, told, limits)
    found = result.of(
        estimate,
        experiment=str(cfg.name),
        score=score,
        mode=task.scores[score],
        folds=folds,
        seeds=tuple(seeds),
        data=data,
        held_out=held_out,
        trained_on=trained_on,
        unit=build.data_class(task.spec).cluster_of(task.spec),
        units=told,
        least=limits[0] if math.isfinite(limits[0]) else None,
        most=limits[1] if math.isfinite(limits[1]) else None,
        singles=tuple(_singles(score, planned, trainings)),
        run_id=run_id,
    )
    return found, drawn


def _singles(
    score: str, planned: Sequence[Planned], trainings: Sequence[Training]
) -> Iterator[Single]:
    """What each training scored on what it held out."""
    for one, training in zip(planned, trainings, strict=True):
        yield Single(
            fold=one.fold,
            seed=int(one.cfg.seed),
            epochs=training.epochs,
            score=training.scores[f"val/{score}"],
            run_id=training.run_id,
        )


def _sizes(
    cfg: DictConfig, planned: Sequence[Planned]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]:
    """Of each fold the samples of validation and train, and the hash of its data."""
    manifests = [
        verify(one.data or Paths(cfg.name).prepared, "train", "validation") for one in planned
    ]
    return (
        tuple(manifest.samples("validation") for manifest in manifests),
        tuple(manifest.samples("train") for manifest in manifests),
        tuple(manifest.sha256 for manifest in manifests),
    )


def _validation(one: Planned) -> Packed:
    return Packed(one.data or Paths(one.cfg.name).prepared, "validation")


def _resamples(cfg: DictConfig, one: Planned) -> Resamples:
    """Resampled sets of what a training held out, the same for all seeds and every method."""
    split = _validation(one)
    return Resamples(split.clusters, cfg.evaluate.resamples, seed=0, weight=split.sample_weight)


def _resampled(task: Task, score: str, planned: Sequence[Planned], draws: Resamples) -> Array:
    """The score (S, R) of each seed's kept weights on resampled sets of validation."""
    methods, split = {}, _validation(planned[0])
    for one in planned:
        methods[one.title] = Predictor.load(one.folder).measure(split).statistics
    metrics = {score: task.metrics()[score]}
    found = intervals(metrics, methods, draws, additive=task.additive, ranges=task.ranges)
    return np.array([found[one.title][score].values for one in planned])


def _log(parent: runs.Run, root: Path, found: Repeated) -> None:
    """The mean, its interval and every score as metrics; the table as the run's text."""
    row = {"mean": found.mean.value, "low": found.mean.low, "high": found.mean.high}
    row = {f"{found.score}_{name}": value for name, value in row.items()}
    for item in found.singles:
        where = f"fold_{item.fold}_seed_{item.seed}" if item.fold else f"seed_{item.seed}"
        row[f"{found.score}_{where}"] = item.score
    parent.log(row)
    parent.flush()
    table = "\n".join(found.lines())
    parent.client.set_tag(parent.run_id, "mlflow.note.content", f"```\n{table}\n```")
    files = [path for path in (root / result.FILE, root / result.VALUES) if path.is_file()]
    for path in files:
        parent.client.log_artifact(parent.run_id, str(path), result.ARTIFACTS)

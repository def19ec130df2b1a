"""Trainings that belong together: nested in one run, several at once, each kept once finished."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.launch import devices, resume
from goodfit.paths import Paths
from goodfit.records import Training
from goodfit.repeats.pool import Asked, Pool
from goodfit.store.manifest import verify
from goodfit.system import units
from goodfit.system.claim import claim
from goodfit.system.record import Record
from goodfit.tracking import runs
from goodfit.tracking.run_name import changed


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
    def facts(self) -> Path:
        """The record of the training, there once it is finished."""
        return self.folder / "train.json"

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


def train_all(
    planned: Sequence[Planned], parent: str, overrides: Sequence[str], pool: Pool
) -> list[Training]:
    """What each training measured, in their order; those that are finished are not repeated."""
    left = [one for one in planned if not one.facts.is_file()]
    done = len(planned) - len(left)
    if done:
        print(f"{done} of {len(planned)} trainings were finished before", flush=True)
    started = time.monotonic()
    asked = [_asked(one, parent, overrides) for one in left]
    for count, index in enumerate(pool.train(asked), 1):
        remaining = (time.monotonic() - started) / count * (len(left) - count)
        _print_finished(left[index], done + count, len(planned), remaining)
    return [Training.read(one.facts) for one in planned]


def _asked(one: Planned, parent: str, overrides: Sequence[str]) -> Asked:
    tags = {"mlflow.parentRunId": parent, "goodfit.started_by": one.started_by}
    own = (*overrides, *one.given)
    return Asked(one.title, one.cfg, one.folder, one.data, own, tags)


def _print_finished(one: Planned, index: int, count: int, remaining: float) -> None:
    """The score of a training, and about how many seconds the others will take."""
    score, training = one.cfg.task.score, Training.read(one.facts)
    left = f", about {units.remaining(remaining)} left" if index < count else ""
    value = units.number(training.scores[f"val/{score}"], 4)
    print(
        f"{one.title}: {score} {value} in {training.epochs} epochs ({index} of {count}{left})",
        flush=True,
    )

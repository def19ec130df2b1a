"""The same command goes on: what an interrupted training left, and whether it may be resumed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance.code import training_digest
from goodfit.records import Manifest
from goodfit.system.claim import holder, write_holder
from goodfit.system.processes import gone, identity, is_local
from goodfit.system.record import Record
from goodfit.training.checkpoint_files import read_note, remove, step_checkpoints, verified

ROOT = Path("build/checkpoints")
# what may differ between a training and its continuation: none of it changes a weight
_FREE = {
    "about",
    "baseline",
    "checkpoint",
    "evaluate",
    "name",
    "resume",
    "title",
    "tracking",
}


@dataclass(frozen=True, kw_only=True)
class BegunTraining(Record):
    """A training that has begun: lies beside its checkpoints until it is finished.

    `facts` are all that decides what it computes. `ended` is the verdict by which it ended, such as
    a non-finite loss; None while it runs and after it was interrupted. `stopped` says that
    `process` is gone, for another machine, which cannot see that by itself.
    """

    facts: dict[str, str]
    run_id: str
    micro_batches: int  # in a step, since memory ran out
    process: str  # as `system.processes.identity` names it
    ended: str | None = None
    stopped: bool = False

    @staticmethod
    def path(folder: Path) -> Path:
        """Where it lies in a folder of checkpoints."""
        return folder / "training.json"

    @classmethod
    def find(cls, folder: Path) -> BegunTraining | None:
        """The training that has begun in this folder, if any.

        Raises:
            UserError: its file is broken.
        """
        path = cls.path(folder)
        return cls.read(path) if path.exists() else None


@dataclass(frozen=True, kw_only=True)
class Plan(Record):
    """Where a training keeps its checkpoints, and what it goes on from, if anything.

    `run_id`, `checkpoint` and `micro_batches` are those of the interrupted training. `notices` are
    for the user; with `clears`, what lies in the folder is deleted first.
    """

    folder: Path
    facts: dict[str, str] = field(default_factory=dict)
    run_id: str | None = None
    checkpoint: Path | None = None
    micro_batches: int = 1
    clears: bool = False
    notices: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The same for two trainings that compute the same, in whatever clone."""
        text = json.dumps(self.facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def begin(self) -> None:
        """Does what was planned: prints notices, and deletes what training does not go on from."""
        for notice in self.notices:
            print(notice, flush=True)
        if self.clears:
            shutil.rmtree(self.folder, ignore_errors=True)
        for part in self.folder.glob(".*.part"):  # files that a kill left half written
            part.unlink()

        # newer checkpoints were passed over as broken: training keeps few, and would delete whole
        # ones for them
        for path in step_checkpoints(self.folder):
            if path == self.checkpoint:
                break
            remove(path)

    def record_start(self, run_id: str, micro_batches: int) -> None:
        """From now on the training can be resumed, in the same run."""
        begun = BegunTraining(
            facts=self.facts, run_id=run_id, micro_batches=micro_batches, process=identity()
        )
        begun.write(BegunTraining.path(self.folder))

    def remove_folder(self) -> None:
        """The training has come to its end: there is nothing to resume."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def record_verdict(self, reason: str) -> None:
        """The training has ended by itself; its folder stays until the next one starts anew."""
        begun = BegunTraining.find(self.folder)
        if begun:
            replace(begun, ended=reason).write(BegunTraining.path(self.folder))


def folder_of(cfg: DictConfig, overrides: Sequence[str], data: Path | None = None) -> Path:
    """Where a training keeps its checkpoints, which is also what it claims.

    They lie in build/checkpoints/<experiment>, outside what DVC deletes before a stage; for a
    training by hand the hash of its overrides is added to the name, and of its `data` where these
    are not the experiment's own.
    """
    return ROOT / f"{cfg.name}{_suffix([*overrides, *([str(data)] if data else [])])}"


def plan(cfg: DictConfig, overrides: Sequence[str], world: int, data: Path | None = None) -> Plan:
    """What the same command left, verified; or a fresh start. Changes nothing on disk.

    Whoever acts on it has `claimed` the folder before: a training that ended meanwhile would have
    deleted what is to go on. `world` is the number of ranks, `data` the folder of prepared data,
    None for the experiment's own.

    Raises:
        UserError: a process still trains it; its configuration, data, code or number of devices was
            another; or nothing that it left can be trusted.
    """
    folder = folder_of(cfg, overrides, data)
    manifest = Manifest.read((data or Paths(cfg.name).prepared) / "manifest.json")
    fresh = Plan(folder=folder, facts=facts(cfg, manifest, world), clears=True)
    begun = BegunTraining.find(folder)

    if begun is None:
        if cfg.resume == "must":
            raise UserError(
                f"resume=must, but nothing was begun in {folder}; resume=auto starts anew"
            )
        return fresh
    # this process itself has begun it, if memory ran out and it tries smaller micro-batches
    if not (begun.stopped or begun.process == identity() or gone(begun.process)):
        raise _busy(folder, begun.process)

    if cfg.resume == "never":
        return fresh
    if cfg.resume == "auto" and begun.ended:
        ended = f"the training before ended: {begun.ended}"
        notices = (ended, "starting anew; resume=must goes on from its checkpoint")
        return replace(fresh, notices=notices)
    _check_same(begun.facts, fresh.facts, folder)
    return _continued(fresh, begun, must=cfg.resume == "must")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """In the block no other process of this machine begins a training in `folder`.

    `BegunTraining` names a process only when network and data are made, seconds after the start:
    of two that start together neither would see the other. The kernel releases the lock of a
    process that is killed.

    Raises:
        UserError: another process is in such a block.
    """
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, folder) as lock:
        write_holder(lock)
        try:
            yield
        finally:
            _record_stop(folder)
            path.unlink(missing_ok=True)


def _locked(path: Path, folder: Path) -> TextIO:
    """The open file at `path`, which no other process has locked."""
    while True:
        lock = path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with lock:
                raise _busy(folder, holder(lock)) from None
        except OSError:  # a network file system without locks: `BegunTraining` must do
            return lock

        # its owner deletes it at the end: opened just before, it is not what a third one would lock
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()


def _record_stop(folder: Path) -> None:
    """Notes that nobody trains in `folder` any more, where that is so and the disk has room."""
    with suppress(OSError, UserError):
        begun = BegunTraining.find(folder)
        # ranks whose launcher failed may live for some seconds more
        if begun and (begun.process == identity() or gone(begun.process)):
            replace(begun, stopped=True).write(BegunTraining.path(folder))


def facts(cfg: DictConfig, manifest: Manifest, world: int) -> dict[str, str]:
    """All that decides what a training on `world` ranks computes, as dotted names and values."""
    content: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    # a composed file has its keys sorted, also inside a list, which is compared as a text
    content = json.loads(json.dumps(content, sort_keys=True))
    decisive = tree.dotted({key: value for key, value in content.items() if key not in _FREE})
    # named as a user reads them in the message about what differs
    decisive |= {
        "data (SHA-256)": manifest.sha256,
        "devices in all": world,
        "code of training": training_digest(content),
    }
    return {key: str(value) for key, value in decisive.items()}


def _suffix(overrides: Sequence[str]) -> str:
    if not overrides:
        return ""
    text = "\n".join(sorted(item for item in overrides if not item.startswith("resume=")))
    return f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _busy(folder: Path, process: str) -> UserError:
    message = f"{folder} is being trained by process {process}; wait for it, or stop it"
    if process and not is_local(process):
        message += (
            f'\nif its machine is gone, write "stopped": true into {BegunTraining.path(folder)}'
        )
    return UserError(message)


def _check_same(before: Mapping[str, str], now: Mapping[str, str], folder: Path) -> None:
    changed = []
    for key in sorted({*before, *now}):
        old, new = before.get(key, "not there"), now.get(key, "not there")
        if old != new:
            changed.append(f"{key} was {old}, is {new}")
    if changed:
        raise UserError(
            f"{folder} holds a training that was cut, and was begun otherwise: "
            f"{'; '.join(changed)}.\nChange it back to go on, or start anew with resume=never "
            "(GOODFIT_RESUME=never before `dvc repro`)."
        )


def _continued(fresh: Plan, begun: BegunTraining, *, must: bool) -> Plan:
    """From the newest checkpoint that verifies, with the best weights that its note names.

    From the first step, where no checkpoint was written before the interruption. With `must` that
    is an error.
    """
    folder = fresh.folder
    checkpoints = step_checkpoints(folder)
    newest = None
    notices = []
    for path in checkpoints:
        if _trusted(path):
            newest = path
            break
        notices.append(
            f"{path} or its best weights fail their checksum or were cut; looking for an older one"
        )

    if checkpoints and newest is None:
        reasons = "".join(f"\n{notice}" for notice in notices)
        raise UserError(
            f"a training was cut, and no checkpoint in {folder} can be trusted; "
            f"resume=never starts anew{reasons}"
        )
    if must and newest is None:
        raise UserError(f"resume=must, but {folder} holds no checkpoint; resume=auto starts anew")
    return replace(
        fresh,
        run_id=begun.run_id,
        checkpoint=newest,
        micro_batches=begun.micro_batches,
        clears=False,
        notices=tuple(notices),
    )


def _trusted(path: Path) -> bool:
    note = read_note(path)
    if note is None or not verified(path):
        return False
    return note.best is None or verified(path.parent / note.best)

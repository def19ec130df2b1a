"""The same command goes on: what a training left behind when it was cut, and whether it may be
taken up.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance.code import training_digest
from goodfit.records import Manifest, Record
from goodfit.system.processes import gone, identity
from goodfit.training.checkpoint_files import read_note, step_checkpoints, verified

ROOT = Path("build/checkpoints")
# what may differ between a training and its continuation: none of it changes a weight
_FREE = {"baseline", "checkpoint", "evaluate", "name", "resume", "tracking"}


@dataclass(frozen=True, kw_only=True)
class BegunTraining(Record):
    """Beside the checkpoints of a training: how it was begun, by which process, and how it ended,
    if it did.

    `facts` are all that decides what it computes; `micro_batches` how many a step needs since
    memory ran out.
    """

    facts: dict[str, str]
    run_id: str
    micro_batches: int
    process: str
    ended: str | None = None

    @staticmethod
    def path(folder: Path) -> Path:
        """Where it lies in a folder of checkpoints."""
        return folder / "training.json"

    @classmethod
    def find(cls, folder: Path) -> BegunTraining | None:
        """None where no training has begun in this folder; raises UserError where the file is
        broken.
        """
        path = cls.path(folder)
        return cls.read(path) if path.exists() else None


@dataclass(frozen=True, kw_only=True)
class Plan(Record):
    """Where a training keeps its checkpoints, and what it goes on from, if anything; decides
    nothing by itself.

    `notices` are what the user should know; `clears` says that what lies in the folder is of no
    use.
    """

    folder: Path
    facts: dict[str, str] = field(default_factory=dict)
    run_id: str | None = None
    checkpoint: Path | None = None
    micro_batches: int = 1
    clears: bool = False
    notices: tuple[str, ...] = ()

    def begin(self) -> None:
        """Does what was planned: says the notices, and clears what is of no use."""
        for notice in self.notices:
            print(notice, flush=True)
        if self.clears:
            shutil.rmtree(self.folder, ignore_errors=True)
        for half_written in self.folder.glob(".*.part"):  # a kill cut what was being written
            half_written.unlink()

    def started(self, run_id: str, micro_batches: int) -> None:
        """From now on the training can be taken up, in the same run."""
        begun = BegunTraining(
            facts=self.facts, run_id=run_id, micro_batches=micro_batches, process=identity()
        )
        begun.write(BegunTraining.path(self.folder))

    def finished(self) -> None:
        """It has come to its end: there is nothing to take up."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def failed(self, reason: str) -> None:
        """It has ended by itself, with a verdict; its folder stays to be looked at."""
        begun = BegunTraining.find(self.folder)
        if begun:
            replace(begun, ended=reason).write(BegunTraining.path(self.folder))


def plan(cfg: DictConfig, overrides: Sequence[str], world: int) -> Plan:
    """What the same command left behind, verified; or a fresh start. Changes nothing on disk.

    Kept in build/checkpoints/<experiment>, outside what DVC deletes before a stage; for a training
    by hand with its overrides' hash behind the name.

    Raises:
        UserError: a process still trains it; its configuration, data, code or number of devices was
            another; or nothing that it left can be trusted.
    """
    folder = ROOT / f"{cfg.name}{_suffix(overrides)}"
    manifest = Manifest.read(Paths(cfg.name).prepared / "manifest.json")
    fresh = Plan(folder=folder, facts=facts(cfg, manifest, world), clears=True)

    begun = BegunTraining.find(folder)
    if begun is None:
        if cfg.resume == "must":
            raise UserError(
                f"resume=must, but nothing was begun in {folder}; resume=auto starts anew"
            )
        return fresh
    if begun.process != identity() and not gone(begun.process):
        raise UserError(
            f"{folder} is being trained by process {begun.process}; wait for it, or stop it"
        )
    if cfg.resume == "never":
        return fresh
    if cfg.resume == "auto" and begun.ended:
        ended = f"the training before ended: {begun.ended}"
        return replace(
            fresh, notices=(ended, "starting anew; resume=must goes on from its checkpoint")
        )
    _check_same(begun.facts, fresh.facts, folder)
    return _continued(fresh, begun, must=cfg.resume == "must")


def facts(cfg: DictConfig, manifest: Manifest, world: int) -> dict[str, str]:
    """All that decides what a training computes, as dotted names and values."""
    content: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    decisive = tree.dotted({key: value for key, value in content.items() if key not in _FREE})
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


def _check_same(before: Mapping[str, str], now: Mapping[str, str], folder: Path) -> None:
    changed = []
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            changed.append(
                f"{key} was {before.get(key, 'not there')}, is {now.get(key, 'not there')}"
            )
    if changed:
        raise UserError(
            f"{folder} holds a training that was cut, and was begun otherwise: {'; '.join(changed)}.\n"
            "Change it back to go on, or start anew with resume=never (GOODFIT_RESUME=never before `dvc repro`)."
        )


def _continued(fresh: Plan, begun: BegunTraining, *, must: bool) -> Plan:
    """From the newest checkpoint that verifies, with the best weights that it speaks of.

    From the first step where none was written before the cut.
    """
    folder = fresh.folder
    checkpoints = step_checkpoints(folder)
    notices = []
    newest = None
    for path in checkpoints:
        if _trusted(path):
            newest = path
            break
        notices.append(
            f"{path} or its best weights fail their checksum or were cut; looking for an older one"
        )
    if checkpoints and newest is None:
        said = "".join(f"\n{notice}" for notice in notices)
        raise UserError(
            f"a training was cut, and no checkpoint in {folder} can be trusted; "
            f"resume=never starts anew{said}"
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

"""The same command goes on: what a training left behind when it was cut, and whether it may be taken up."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from goodfit import lineage, track
from goodfit.errors import UserError
from goodfit.files import read_json, write_json
from goodfit.kept import note, steps, verified
from goodfit.places import Places
from goodfit.process import gone, identity

# what may differ between a training and its continuation: none of it changes a weight
_FREE = {"baseline", "checkpoint", "evaluate", "name", "resume", "tracking"}


@dataclass(frozen=True)
class Plan:
    """Where a training keeps its checkpoints, and what it goes on from, if anything."""

    folder: Path
    facts: dict[str, str]
    run_id: str = ""
    checkpoint: Path | None = None
    parts: int = 1  # micro-batches of a device, after memory has run out

    def stored(self) -> dict[str, Any]:
        """For JSON and another process, which reads it by `read`."""
        return {**asdict(self), "folder": str(self.folder), "checkpoint": str(self.checkpoint or "")}

    def write(self, run_id: str, parts: int) -> None:
        """From now on the training can be taken up, in the same run."""
        process = identity()
        write_json(
            self.folder / "training.json", {"facts": self.facts, "run_id": run_id, "parts": parts, "by": process}
        )

    def over(self, reason: str = "") -> None:
        """It has ended by itself: well, and the folder goes; or with a verdict, and the folder can be looked at."""
        if not reason:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        path = self.folder / "training.json"
        if path.exists():
            write_json(path, {**read_json(path), "ended": reason})


def read(stored: Mapping[str, Any]) -> Plan:
    """A plan that another process has made."""
    checkpoint = Path(stored["checkpoint"]) if stored["checkpoint"] else None
    return Plan(**{**stored, "folder": Path(stored["folder"]), "checkpoint": checkpoint})


def plan(cfg: DictConfig, overrides: Sequence[str], world: int) -> Plan:
    """What the same command left behind, verified; or a fresh start.

    Kept in build/checkpoints/<experiment>, outside what DVC deletes before a stage; for a training by hand with
    its overrides' hash behind the name.

    Raises:
        UserError: a process still trains it; its configuration, data, code or number of devices was another;
            or nothing that it left can be trusted.
    """
    text = "\n".join(sorted(item for item in overrides if not item.startswith("resume=")))
    key = f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}" if overrides else ""
    folder = Path("build/checkpoints") / f"{cfg.name}{key}"
    manifest = read_json(Places(cfg.name).prepared / "manifest.json")
    fresh = Plan(folder, facts(cfg, manifest, world))
    left = folder / "training.json"
    if cfg.resume == "never" or not left.exists():
        if cfg.resume == "must":
            raise UserError(f"resume=must, but nothing was begun in {folder}; resume=auto starts anew")
        _alone(left)
        shutil.rmtree(folder, ignore_errors=True)
        return fresh
    _alone(left)
    before = read_json(left)
    if cfg.resume == "auto" and "ended" in before:
        print(f"the training before ended: {before['ended']}\nstarting anew; resume=must goes on from its checkpoint")
        shutil.rmtree(folder)
        return fresh
    _same(before["facts"], fresh.facts, folder)
    for stray in folder.glob(".*.part"):  # a kill cut what was being written
        stray.unlink()
    newest = _newest(folder)
    if cfg.resume == "must" and newest is None:
        raise UserError(f"resume=must, but {folder} holds no checkpoint; resume=auto starts anew")
    return Plan(folder, fresh.facts, before["run_id"], newest, before["parts"])


def facts(cfg: DictConfig, manifest: Mapping[str, Any], world: int) -> dict[str, str]:
    """All that decides what a training computes, as dotted names and values."""
    content: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    named = track.leaves({key: value for key, value in content.items() if key not in _FREE})
    code = lineage.digest(lineage.code(lineage.stage_modules(content)["train"]))
    found = {**named, "data (SHA-256)": manifest["sha256"], "devices in all": world, "code of training": code}
    return {key: str(value) for key, value in found.items()}


def _alone(left: Path) -> None:
    by = read_json(left).get("by", "") if left.exists() else ""
    if by and by != identity() and not gone(by):
        raise UserError(f"{left.parent} is being trained by process {by}; wait for it, or stop it")


def _same(before: Mapping[str, str], now: Mapping[str, str], folder: Path) -> None:
    changed = [
        f"{key} was {before.get(key, 'not there')}, is {now.get(key, 'not there')}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise UserError(
            f"{folder} holds a training that was cut, and was begun otherwise: {'; '.join(changed)}.\n"
            "Change it back to go on, or start anew with resume=never (GOODFIT_RESUME=never before `dvc repro`)."
        )


def _newest(folder: Path) -> Path | None:
    """The newest checkpoint that verifies, with the best weights that it speaks of; None where none was begun."""
    found = steps(folder)
    for path in found:
        best = note(path).get("best", "")
        if verified(path) and (not best or verified(folder / best)):
            return path
        print(f"{path} or its best weights fail their checksum or were cut; looking for an older one", flush=True)
    if found:
        raise UserError(f"a training was cut, and no checkpoint in {folder} can be trusted; resume=never starts anew")
    return None

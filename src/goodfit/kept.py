"""Checkpoints on disk, told apart by what is written beside them; reading a hash needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goodfit.errors import UserError
from goodfit.files import read_json, sha256


def steps(folder: Path) -> list[Path]:
    """The checkpoints to go on from, the newest first."""
    return sorted(folder.glob("step-*.ckpt"), reverse=True)


def note(path: Path) -> dict[str, Any]:
    """What is written beside a checkpoint: epoch, step, whether the epoch was over, hash, file of the best weights."""
    try:
        found = read_json(path.with_suffix(".json"))
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def verified(path: Path) -> bool:
    """Whether the file is there and holds the bytes that were written; torch.load accepts a flipped bit."""
    return path.is_file() and note(path).get("sha256") == sha256(path)


def remove(path: Path) -> None:
    """The note first: without it a checkpoint counts as unfinished."""
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)

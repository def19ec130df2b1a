"""Checkpoints on disk, each with a note beside it; to verify one needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from goodfit.errors import UserError
from goodfit.system.files import sha256
from goodfit.system.record import Record


@dataclass(frozen=True, kw_only=True)
class CheckpointNote(Record):
    """What is known of a checkpoint without reading it.

    `best` names the file with the best weights so far; None while no epoch had a finite score.
    """

    epoch: int
    step: int
    epoch_over: bool
    best: str | None
    sha256: str


def step_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints to go on from, the newest first, whole or not."""
    # their names hold the step with leading zeros: sorted as texts, they are sorted by step
    return sorted(folder.glob("step-*.ckpt"), reverse=True)


def note_path(path: Path) -> Path:
    """Where the note of a checkpoint lies."""
    return path.with_suffix(".json")


def read_note(path: Path) -> CheckpointNote | None:
    """The note of a checkpoint; None where its writing was cut."""
    try:
        return CheckpointNote.read(note_path(path))
    except UserError:
        return None


def verified(path: Path) -> bool:
    """Whether the file is there and holds the bytes that were written.

    torch.load alone would accept a flipped bit.
    """
    note = read_note(path)
    return path.is_file() and note is not None and note.sha256 == sha256(path)


def remove(path: Path) -> None:
    """Deletes a checkpoint with its note, if they are there."""
    # the note first: a checkpoint without one counts as unfinished, should a kill come between
    note_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)

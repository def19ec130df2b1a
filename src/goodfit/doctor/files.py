"""What stages and trainings left on disk: data, checkpoints, models, half-written files."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

from goodfit.config import gallery
from goodfit.doctor.dvc import check_idle
from goodfit.doctor.finding import Finding, abbreviate, note, ok, problem
from goodfit.errors import UserError
from goodfit.launch.resume import ROOT as CHECKPOINTS
from goodfit.launch.resume import BegunTraining
from goodfit.records import Training
from goodfit.store.manifest import verify
from goodfit.system.files import sha256
from goodfit.system.processes import gone
from goodfit.training.checkpoint_files import read_note, step_checkpoints, verified

MODELS, BY_HAND = Path("models"), Path("build/runs")
# where `replacing_file` and `replacing_folder` write
_WRITTEN = (
    "build",
    "build/runs",
    "build/checkpoints/*",
    "data/*",
    "models",
    "report",
    "report/*",
    "conf/tuned",
    "gallery",
)


def half_written() -> Iterator[Finding]:
    """No kill came while a file was written, or between its writing and its place."""
    left: set[Path] = set()
    for folder in _WRITTEN:
        for path in Path().glob(f"{folder}/.*"):
            if path.suffix in (".part", ".old"):
                left.add(path)

    for path in sorted(left):
        final = path.with_name(path.stem.removeprefix("."))  # .name.part becomes name
        if _is_last_copy(path, final):
            message = f"{path} is the last whole {final}: a kill came while it was replaced"
            advice = "move it back"
        else:
            message = f"{path} is a half-written {final.name}, which a kill left"
            advice = "delete it"
        yield problem(message, advice, functools.partial(_clean_up, path, final))
    if not left:
        yield ok("no file is half-written")


def prepared() -> Iterator[Finding]:
    """Prepared data are what prepare wrote; test is hashed too, and nothing is interpreted."""
    whole = []
    for folder in _folders(Path("data/prepared")):
        try:
            verify(folder, "train", "validation", "test")
            whole.append(folder.name)
        except UserError as error:
            advice = f"`dvc checkout --force {folder}` brings it back, if the cache is whole"
            yield problem(str(error), advice)
        except OSError as error:
            yield problem(
                f"{folder} cannot be read: {error}", "look at its mode and owner, then at the disk"
            )
    yield ok(f"prepared data are what prepare wrote: {abbreviate(whole) or 'none here'}")


def checkpoints() -> Iterator[Finding]:
    """Each checkpoint holds the bytes that were written; torch.load would take a flipped bit."""
    whole = 0
    for folder in sorted(CHECKPOINTS.glob("*")):
        if not folder.is_dir():
            continue
        if folder.name.startswith("trial-"):
            advice = "delete it if no sweep runs: a cut trial begins anew"
            yield note(f"{folder} belongs to a trial of a sweep", advice)
            continue

        try:
            process = _training_process(folder)
        except (UserError, OSError) as error:
            record = BegunTraining.path(folder)
            yield problem(str(error), f"a training stops at it; delete {record} to start anew")
            process = None
        if process:
            message = f"{folder} is being trained by process {process}"
            yield note(message, "its checkpoints were not examined")
            continue

        for path in sorted(folder.glob("*.ckpt")):
            fault = _checkpoint_fault(path)
            if fault is None:
                whole += 1
            else:
                # not moved away: where none is left, a training would start anew without a word
                yield problem(f"{path} {fault}", _way_on(folder))
    yield ok(f"{whole} checkpoints are what training wrote")


def models() -> Iterator[Finding]:
    """Weights are those that training kept, by the hash in train.json."""
    whole = 0
    for folder in [*_folders(MODELS), *_folders(BY_HAND)]:
        fault = _model_fault(folder)
        if fault is None:
            whole += 1
        elif folder.parent == MODELS:
            advice = (
                f"`dvc checkout --force {folder}`, or `{gallery.command('train', folder.name)}`"
            )
            yield problem(fault, advice)
        else:
            yield problem(fault, "train it again")
    yield ok(f"{whole} models hold the weights that training kept")


def _folders(parent: Path) -> list[Path]:
    """The folders in `parent`, less the hidden ones: they are on their way."""
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _is_last_copy(path: Path, final: Path) -> bool:
    """Whether `replacing_folder` was cut between moving the old folder out and the new one in."""
    return path.suffix == ".old" and not final.exists()


def _clean_up(path: Path, final: Path) -> str:
    """Moves the last copy back; deletes what is half-written. Nobody else may be writing."""
    check_idle()
    # a training writes without DVC's lock: by hand nobody takes it
    for folder in CHECKPOINTS.glob("*"):
        process = _training_process(folder)
        if process:
            raise UserError(f"not while process {process} trains")

    if _is_last_copy(path, final):
        path.replace(final)
        return f"moved {path} back to {final}"
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return f"deleted {path}"


def _training_process(folder: Path) -> str | None:
    """The process that trains in a folder of checkpoints; on another machine it counts as alive.

    Raises:
        UserError: the file that names it is broken, or of another version.
    """
    begun = BegunTraining.find(folder)
    if begun is None or begun.stopped or gone(begun.process):
        return None
    return begun.process


def _checkpoint_fault(path: Path) -> str | None:
    if verified(path):
        return None
    if read_note(path):
        return "fails its checksum"
    return "has no note beside it: its writing was cut"


def _way_on(folder: Path) -> str:
    """How training goes on where a checkpoint cannot be trusted."""
    for path in step_checkpoints(folder):
        if verified(path):
            return f"`make repro` goes on from {path.name}, and clears it away at the end"
    return (
        "none is whole: GOODFIT_RESUME=never before `make repro` "
        "(by hand: resume=never) starts anew"
    )


def _model_fault(folder: Path) -> str | None:
    record, weights = folder / "train.json", folder / "weights.pt"
    try:
        expected = Training.read(record).weights_sha256
    except (UserError, OSError):
        return f"{record} is missing, broken, or of another version"
    if not weights.is_file():
        return f"{weights} is missing"
    if sha256(weights) != expected:
        return f"{weights} fails its checksum: it is not what training wrote"
    return None

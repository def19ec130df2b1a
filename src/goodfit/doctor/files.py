"""What trainings and stages left on disk: checkpoints, prepared data, models, and the halves that a
kill leaves.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goodfit.doctor.finding import Finding, found, listed, note, ok
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.store.manifest import verify
from goodfit.system.files import read_json, sha256
from goodfit.system.processes import gone
from goodfit.training.checkpoint_files import read_note, verified

CHECKPOINTS = Path("build/checkpoints")
# where `files.replacing` writes
_WRITTEN = (
    "build",
    "build/runs",
    "build/checkpoints/*",
    "data/*",
    "models",
    "report",
    "report/*",
    "conf/tuned",
)


def checkpoints() -> Iterator[Finding]:
    """Each checkpoint holds the bytes that were written; torch.load would take a flipped bit."""
    whole = 0
    for folder in sorted(path for path in CHECKPOINTS.glob("*") if path.is_dir()):
        if folder.name.startswith("trial-"):
            yield note(
                f"{folder} belongs to a trial of a sweep",
                "delete it if no sweep runs: a cut trial begins anew",
            )
            continue
        if by := _trainer(folder):
            yield note(
                f"{folder} is being trained by process {by}", "its checkpoints were not looked at"
            )
            continue
        for path in sorted(folder.glob("*.ckpt")):
            if verified(path):
                whole += 1
                continue
            fault = (
                "fails its checksum"
                if read_note(path)
                else "has no note beside it: its writing was cut"
            )
            # not moved away: where none is left, a training would start anew without a word
            yield found(f"{path} {fault}", _advice(folder))
    yield ok(f"{whole} checkpoints are what training wrote")


def _advice(folder: Path) -> str:
    others = [path for path in folder.glob("step-*.ckpt") if verified(path)]
    if others:
        return f"`make repro` goes on from {max(others).name}, and clears it away at the end"
    return "none is whole: GOODFIT_RESUME=never before `make repro` (by hand: resume=never) starts anew"


def _trainer(folder: Path) -> str:
    """The live process that trains in a folder of checkpoints, "" for none; on another machine it
    counts as alive.
    """
    content = _read(folder / "training.json")
    by = str(content.get("process", ""))
    return by if by and not gone(by) else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (UserError, OSError):
        return {}
    return content if isinstance(content, dict) else {}


def halves() -> Iterator[Finding]:
    """Files that a kill left half-way between written and in place."""
    found_ = (path for place in _WRITTEN for path in Path().glob(f"{place}/.*"))
    left = sorted({path for path in found_ if path.suffix in (".part", ".old")})
    for path in left:
        final = path.with_name(path.stem.removeprefix("."))
        if path.suffix == ".old" and not final.exists():
            what, advice = (
                f"{path} is the last whole {final}, put aside when a kill came",
                "move it back",
            )
        else:
            what, advice = f"{path} is what a kill left of writing {final.name}", "delete it"
        yield found(what, advice, functools.partial(_settle, path, final))
    if not left:
        yield ok("no file is half-written")


def _settle(path: Path, final: Path) -> str:
    if holder := dvc.running():
        raise UserError(f"not while another run ({holder}) works here")
    if busy := [by for folder in CHECKPOINTS.glob("*") if (by := _trainer(folder))]:
        raise UserError(f"not while process {busy[0]} trains")
    if path.suffix == ".old" and not final.exists():
        path.replace(final)
        return f"moved {path} back to {final}"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"deleted {path}"


def prepared() -> Iterator[Finding]:
    """Prepared data are what prepare wrote; files of all splits are hashed, and none is
    interpreted.
    """
    whole = []
    for folder in sorted(path for path in Path("data/prepared").glob("[!.]*") if path.is_dir()):
        try:
            verify(folder, "train", "validation", "test")
            whole.append(folder.name)
        except UserError as error:
            yield found(
                str(error), f"`dvc checkout --force {folder}` brings it back, if the cache is whole"
            )
        except (OSError, TypeError, KeyError, AttributeError) as error:
            advice = f"`dvc repro --force --single-item prepare@{folder.name}`"
            yield found(
                f"{folder}/manifest.json is not what prepare wrote ({type(error).__name__})", advice
            )
    yield ok(f"prepared data are what prepare wrote: {listed(whole) or 'none here'}")


def models() -> Iterator[Finding]:
    """Weights are those that training kept, by the hash in train.json."""
    whole = 0
    for folder in [
        *sorted(Path("models").glob("[!.]*")),
        *sorted(Path("build/runs").glob("[!.]*")),
    ]:
        if not folder.is_dir():
            continue
        of_dvc = folder.parent == Path("models")
        advice = (
            f"`dvc checkout --force {folder}`, or `dvc repro train@{folder.name}`"
            if of_dvc
            else "train it again"
        )
        expected, weights = (
            _read(folder / "train.json").get("weights_sha256"),
            folder / "weights.pt",
        )
        if expected is None:
            yield found(
                f"{folder}/train.json is missing, broken, or holds no hash of the weights", advice
            )
        elif not weights.is_file():
            yield found(f"{weights} is missing", advice)
        elif sha256(weights) != expected:
            yield found(f"{weights} fails its checksum: it is not what training wrote", advice)
        else:
            whole += 1
    yield ok(f"{whole} models hold the weights that training kept")

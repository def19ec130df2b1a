"""DVC's own files: each dvc.lock with what stages last gave, the cache, a running DVC's lock."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from goodfit.config import gallery
from goodfit.errors import UserError
from goodfit.system import processes
from goodfit.system.files import file_lock

LOCK = Path("dvc.lock")
GALLERY_LOCK = gallery.PIPELINE.with_suffix(".lock")
RWLOCK = Path(".dvc/tmp/rwlock")
_UNCACHED = "compose"  # the stage whose output is declared `cache: false`


class Output(NamedTuple):
    """What a stage made, as dvc.lock has it; `md5` names its object in the cache."""

    stage: str
    path: Path
    md5: str
    size: int


class Holder(NamedTuple):
    """A process that DVC's lock file names."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"PID {self.pid}, {self.command}"


def outputs() -> list[Output]:
    """Each output of a dvc.lock that the cache keeps; none where no stage has run.

    Of the gallery, the experiments that were asked for here: its lock file names all that ever ran.

    Raises:
        UserError: a dvc.lock or gallery/params.yaml cannot be read.
    """
    made = lock_outputs(LOCK)
    active = gallery.active()
    for output in lock_outputs(GALLERY_LOCK) if active else []:
        if output.stage.partition("@")[2] in active:
            made.append(output._replace(stage=f"{gallery.PIPELINE}:{output.stage}"))
    return made


def lock_outputs(lock: Path) -> list[Output]:
    """Each output of one lock file that the cache keeps; none where there is no such file.

    Raises:
        UserError: it cannot be read.
    """
    if not lock.exists():
        return []
    # absolute: the current folder may change, and what is cached stays
    return list(_outputs(lock.resolve(), lock.stat().st_mtime_ns))


def output_hash(path: Path) -> str | None:
    """DVC's hash of a stage's output; None before its first `dvc repro`.

    Raises:
        UserError: dvc.lock cannot be read.
    """
    for output in outputs():
        if output.path == path:
            return output.md5
    return None


def uncached(experiments: Collection[str]) -> list[Output]:
    """Outputs of these experiments that are there, and that the cache does not hold.

    Raises:
        UserError: dvc.lock cannot be read, or DVC does not say where its cache is.
    """
    made = [output for output in outputs() if output.stage.rpartition("@")[2] in experiments]
    if not made:
        return []
    objects = cache_folder()
    return [
        output
        for output in made
        if output.path.exists() and not object_path(objects, output.md5).exists()
    ]


def unfinished() -> set[str]:
    """The experiments of which a stage would run again: it failed, or waits for one that did.

    Raises:
        UserError: DVC does not say so.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        lines = answer.stderr.strip().splitlines()
        raise UserError(f"`dvc status` fails: {lines[0] if lines else 'it says nothing'}")
    return {stage.rpartition("@")[2] for stage in json.loads(answer.stdout)}


def cache_folder() -> Path:
    """The folder of DVC's objects, which are named by their MD5.

    Raises:
        UserError: DVC does not say where its cache is.
    """
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        lines = answer.stderr.strip().splitlines()
        raise UserError(f"`dvc cache dir` fails: {lines[0] if lines else 'it says nothing'}")
    folder = Path(answer.stdout.strip()) / "files/md5"
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def object_path(objects: Path, md5: str) -> Path:
    """Where the cache keeps an object."""
    return objects / md5[:2] / md5[2:]


def running() -> Holder | None:
    """A live process of another `dvc` that works on a stage here."""
    # a lock file that cannot be read is of no live process: `delete_stale_lock` looks after it
    with contextlib.suppress(ValueError):
        for holder in holders():
            if processes.alive(holder.pid):
                return holder
    return None


def holders() -> list[Holder]:
    """Each process that DVC's lock file names, dead ones too.

    Raises:
        ValueError: the file is one that DVC cannot read.
    """
    with _exclusive():
        return _holders()


def delete_stale_lock() -> str | None:
    """Deletes a lock file that stops every later run and that no live process holds.

    Returns a line about it, None where nothing was deleted. DVC stops at a lock file that it cannot
    read, and at one of a process that has ended but was not waited for: in a container whose first
    process is no init, nobody does.
    """
    with _exclusive():
        try:
            entries = _holders()
            if not entries or any(processes.alive(holder.pid) for holder in entries):
                return None
            why = "names processes that are gone"
        except ValueError:
            why = "was left half-written by a run that was killed"
        RWLOCK.unlink()
    return f"{RWLOCK} {why}: deleted"


@cache
def _outputs(lock: Path, _changed: int) -> tuple[Output, ...]:
    """Parsed once while the file stays the same."""
    try:
        # the C parser takes 10 ms, the other one 0.1 s
        content: Any = yaml.load(lock.read_text(), Loader=yaml.CSafeLoader)
        return tuple(_cached_outputs(content["stages"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:120]
        name = lock.relative_to(Path.cwd()) if lock.is_relative_to(Path.cwd()) else lock
        raise UserError(f"{name} cannot be read: {reason}") from None


def _cached_outputs(stages: Mapping[str, Any]) -> Iterator[Output]:
    for name, stage in stages.items():
        if name.partition("@")[0] == _UNCACHED:
            continue
        for out in stage.get("outs", []):
            if "md5" in out:
                yield Output(name, Path(out["path"]), str(out["md5"]), int(out.get("size", 0)))


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    """Meanwhile nobody writes DVC's lock file: DVC takes the lock of this second file first."""
    if not RWLOCK.parent.exists():  # DVC has never run here
        yield
        return
    with file_lock(RWLOCK.with_name("rwlock.lock")):
        yield


def _holders() -> list[Holder]:
    try:
        content = json.loads(RWLOCK.read_text())
    except FileNotFoundError:
        return []
    try:
        entries = list(content.get("write", {}).values())
        for readers in content.get("read", {}).values():
            entries += readers
        return [Holder(int(entry["pid"]), str(entry["cmd"])) for entry in entries]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not DVC's form: {error!r}") from None

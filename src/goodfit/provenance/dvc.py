"""DVC's own files: dvc.lock, which says what the stages last gave, its cache, and the lock of a
running DVC.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from goodfit.errors import UserError
from goodfit.system import processes
from goodfit.system.files import file_lock

LOCK = Path("dvc.lock")
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
    """Each output of dvc.lock that the cache keeps; none where no stage has run.

    Raises:
        UserError: dvc.lock is not one.
    """
    if not LOCK.exists():
        return []
    path = LOCK.resolve()
    return list(_outputs(path, path.stat().st_mtime_ns))


def output_hash(path: Path) -> str | None:
    """DVC's hash of a stage's output, None before its first `dvc repro`; raises UserError as
    `outputs` does.
    """
    return next((output.md5 for output in outputs() if output.path == path), None)


def uncached() -> list[Output]:
    """Outputs that are there, and that the cache does not hold.

    Raises:
        UserError: dvc.lock cannot be read, or DVC does not say where its cache is.
    """
    if not LOCK.exists():
        return []
    objects = cache_folder()
    return [
        output
        for output in outputs()
        if output.path.exists() and not object_path(objects, output.md5).exists()
    ]


def cache_folder() -> Path:
    """The folder of DVC's objects, named by their MD5; raises UserError where DVC does not answer."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["it says nothing"])[0]
        raise UserError(f"`dvc cache dir` fails: {reason}")
    folder = Path(answer.stdout.strip()) / "files/md5"
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def object_path(objects: Path, md5: str) -> Path:
    """Where the cache keeps an object."""
    return objects / md5[:2] / md5[2:]


def running() -> Holder | None:
    """A live process of another `dvc` that works on a stage here."""
    with contextlib.suppress(ValueError):
        for holder in holders():
            if processes.alive(holder.pid):
                return holder
    return None


def holders() -> list[Holder]:
    """Each entry of DVC's lock file, dead ones too; ValueError where DVC cannot read it."""
    with _lock_file_locked():
        return _holders()


def delete_stale_lock() -> str | None:
    """Deletes a lock file that stops every later run and that no live process holds; a line about
    it.

    DVC stops at one that it cannot read, and at one of a process that has ended but was not waited
    for: in a container whose first process is no init, nobody does.
    """
    with _lock_file_locked():
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
    """Read once while the file stays the same: the C parser takes 10 ms, the other one 0.1 s."""
    try:
        content: Any = yaml.load(lock.read_text(), Loader=yaml.CSafeLoader)
        return tuple(_named_outputs(content["stages"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{LOCK} cannot be read: {reason}") from None


def _named_outputs(stages: dict[str, Any]) -> Iterator[Output]:
    for name, stage in stages.items():
        if name.partition("@")[0] == _UNCACHED:
            continue
        for out in stage.get("outs", []):
            if "md5" in out:
                yield Output(name, Path(out["path"]), str(out["md5"]), int(out.get("size", 0)))


@contextlib.contextmanager
def _lock_file_locked() -> Iterator[None]:
    """Meanwhile nobody writes DVC's lock file: DVC takes the lock of this second file before it
    does.
    """
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

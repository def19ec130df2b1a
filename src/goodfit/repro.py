"""`dvc repro`, and what DVC does not see by itself: a lock left by a kill, a run beside this one, a full cache."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from goodfit import process
from goodfit.errors import UserError
from goodfit.files import alone

RWLOCK = Path(".dvc/tmp/rwlock")
BUSY = 3


def main() -> int:
    """Runs `dvc repro` with the arguments of the command line; its exit code, 3 where another one runs."""
    with _first() as holder:
        if holder := holder or running():
            print(f"goodfit: another run ({holder}) holds the lock; wait for it, or stop it", file=sys.stderr)
            return BUSY
        if mended := mend():
            print(mended, flush=True)
        ran, code = _repro(sys.argv[1:])
    if ran and (missing := uncached()):
        raise UserError(_explain(missing))
    return code


@contextlib.contextmanager
def _first() -> Iterator[str]:
    """Gives "" to the only one here, to another the first's process: between stages, DVC's lock file names nobody."""
    path = Path("build/repro.lock")
    path.parent.mkdir(exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            yield f"PID {lock.read().strip()}, make repro"
            return
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield ""


def running() -> str:
    """The live process of another `dvc` that works on a stage here, "" where none does."""
    with contextlib.suppress(ValueError):
        for number, command in holders():
            if process.alive(number):
                return f"PID {number}, {command}"
    return ""


def mend() -> str:
    """Deletes a lock file that stops every later run, after `running` found nobody; gives the line about it.

    DVC stops at one that it cannot read, and at one of a process that has ended but was not waited for: in a
    container whose first process is no init, nobody does.
    """
    with _steady():
        try:
            found = _entries()
            if not found or any(process.alive(number) for number, _ in found):
                return ""
            why = "names processes that are gone"
        except ValueError:
            why = "was left half-written by a run that was killed"
        RWLOCK.unlink()
    return f"{RWLOCK} {why}: deleted"


def holders() -> list[tuple[int, str]]:
    """Process and command of each entry of DVC's lock file, dead ones too; ValueError where DVC cannot read it."""
    with _steady():
        return _entries()


@contextlib.contextmanager
def _steady() -> Iterator[None]:
    """Meanwhile nobody writes DVC's lock file: DVC takes the lock of this second file before it does."""
    there = RWLOCK.parent.exists()  # else DVC has never run here
    with alone(RWLOCK.with_name("rwlock.lock")) if there else contextlib.nullcontext():
        yield


def _entries() -> list[tuple[int, str]]:
    try:
        content = json.loads(RWLOCK.read_text())
    except FileNotFoundError:
        return []
    try:
        infos = [
            *content.get("write", {}).values(),
            *(info for each in content.get("read", {}).values() for info in each),
        ]
        return [(int(info["pid"]), str(info["cmd"])) for info in infos]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not DVC's form: {error!r}") from None


def cache() -> Path:
    """The folder of DVC's objects, named by their MD5; raises UserError where DVC does not answer."""
    asked = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["no word"])[0]
        raise UserError(f"`dvc cache dir` fails: {reason}")
    place = Path(asked.stdout.strip()) / "files/md5"
    return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place


def uncached() -> dict[str, int]:
    """Outputs that dvc.lock names, that are there, and that the cache does not hold, with their size in bytes."""
    if not Path("dvc.lock").exists():
        return {}
    objects = cache()
    stages = yaml.load(Path("dvc.lock").read_text(), Loader=yaml.CSafeLoader)["stages"]
    kept = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    missing = {}
    for name, stage in stages.items():
        if name.partition("@")[0] == "compose" and "compose" in kept:
            continue  # declared `cache: false`
        for out in stage.get("outs", []):
            digest = str(out.get("md5", ""))
            if digest and Path(out["path"]).exists() and not (objects / digest[:2] / digest[2:]).exists():
                missing[out["path"]] = int(out.get("size", 0))
    return missing


def _explain(missing: dict[str, int]) -> str:
    free = shutil.disk_usage(".dvc").free
    names = ", ".join(list(missing)[:6]) + (", ..." if len(missing) > 6 else "")
    return (
        f"DVC's cache lacks {len(missing)} outputs that dvc.lock names: {names}.\n"
        f"They need {sum(missing.values()) / 1e6:.1f} MB, {free / 1e6:.1f} MB are free; make room, then `dvc commit`."
    )


def _hand_on(child: subprocess.Popen[bytes], number: int) -> None:
    """To the whole group: DVC ignores Ctrl-C while a stage runs, and on SIGTERM it ends and leaves the stage alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _repro(arguments: Sequence[str]) -> tuple[bool, int]:
    """Whether a stage ran, and the exit code; a signal is handed on, and waited out."""
    child = subprocess.Popen(["dvc", "repro", *arguments], stdout=subprocess.PIPE, start_new_session=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: _hand_on(child, received))
    assert child.stdout is not None
    ran = False
    for line in iter(child.stdout.readline, b""):
        ran |= line.startswith(b"Running stage")
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
    return ran, child.wait()

"""`dvc repro`, and what DVC does not see: a lock left by a kill, another run, a full cache."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from goodfit.config import gallery, params
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance import checkout, dvc
from goodfit.provenance.dvc import Holder, Output
from goodfit.records import Registration
from goodfit.store.inbox import edited
from goodfit.system import units
from goodfit.tracking import places

BUSY = 3
_LOCK = Path("build/repro.lock")
_MOST_NAMES = 6  # in a message
_PULL = "--pull"
_KEEP_GOING = "--keep-going"


def main() -> int:
    """Runs `dvc repro`; returns its code, 3 where another one runs.

    The command line names experiments, none for those of params.yaml, and options of `dvc repro`.
    With --pull, what a remote has of them is taken from there before. With --keep-going, one that
    fails keeps no other one waiting, and the table of the others is printed.

    Raises:
        UserError: an experiment does not exist, DVC or MLflow cannot work in this folder, or DVC's
            cache lacks what dvc.lock names: its disk is full.
    """
    _activate()
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    targets = gallery.targets(names)
    wanted = list(dict.fromkeys(names or params.experiments()))
    _check_folder(wanted)
    with _only_one() as other:
        holder = other or dvc.running()
        if holder:
            print(
                f"goodfit: another run ({holder}) holds the lock; wait for it, or stop it",
                file=sys.stderr,
            )
            return BUSY
        deleted = dvc.delete_stale_lock()
        if deleted:
            print(deleted, flush=True)
        gallery.activate(names)
        if _PULL in options:
            options.remove(_PULL)
            # DVC's own `repro --pull` takes compose for done, whose output no cache holds, and then
            # stops at fetch for want of it; what the remote lacks is made below
            subprocess.run(["dvc", "pull", "--with-deps", *targets], check=False)
        ran, code = _repro([*targets, *options])
        if code == 0 and "--dry" not in options:
            code = _register_waiting(wanted)
    for name in wanted:
        for line in edited(name):
            print(line, flush=True)
    # with a full disk under its cache, DVC 3.67 prints ERROR, writes dvc.lock and exits with 0;
    # what others lack, a colleague's results that were never pulled, is no matter of this run
    missing = dvc.uncached(wanted) if ran else []
    if missing:
        raise UserError(_explain(missing))
    if code > 0 and _KEEP_GOING in options:
        _summarize_the_others(wanted)
    return code


def _activate() -> None:
    """Puts this Python's folder first: `dvc`, and the `python` of its stages, are those beside it.

    `.venv/bin/python pipelines/repro.py` comes without.
    """
    beside = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])


def _check_folder(experiments: Sequence[str]) -> None:
    """What DVC or MLflow cannot keep here is said before the first stage; notes are printed.

    Raises:
        UserError: they cannot, with the way out.
    """
    checkout.check(experiments)
    database = places.environment_database()
    if database:
        places.check(database)
    for note in checkout.notes():
        print(note, flush=True)


def _register_waiting(wanted: Sequence[str]) -> int:
    """Registers the models that `dvc exp run` has left for later: they are the project's by now.

    DVC takes their stage `register` for done. Returns its code.
    """
    waiting = []
    for name in wanted:
        record = Paths(name).registered
        if record.exists() and Registration.read(record).version is None:
            waiting.append(name)
    if not waiting:
        return 0
    return _repro(["--force", "--single-item", *gallery.targets(waiting)])[1]


def _summarize_the_others(wanted: Sequence[str]) -> None:
    """Prints the table of the experiments that are done, and the names of those that are not.

    What a failed one has left in report/ is of an earlier time.
    """
    unfinished = dvc.unfinished()
    failed = [name for name in wanted if name in unfinished]
    done = [name for name in wanted if name not in unfinished]
    if done:
        from goodfit.stages.summary import summarize  # pandas, for the page of all: 0.5 s

        summarize(done)
    print(f"goodfit: not done, see above: {', '.join(failed)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _only_one() -> Iterator[Holder | None]:
    """Yields None to the first `make repro` here, and to another one the process of the first.

    Between two stages, DVC's own lock file names nobody.
    """
    _LOCK.parent.mkdir(exist_ok=True)
    # not "w": it would empty the file of the one that holds the lock
    with _LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            yield Holder(int(lock.read().strip() or 0), "make repro")
            return
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield None


def _explain(missing: Sequence[Output]) -> str:
    # of the cache's own disk, which need not be that of the repository
    disk = dvc.cache_folder()
    while not disk.exists():
        disk = disk.parent
    free = units.size(shutil.disk_usage(disk).free)
    needed = units.size(sum(output.size for output in missing))
    names = ", ".join(str(output.path) for output in missing[:_MOST_NAMES])
    more = ", ..." if len(missing) > _MOST_NAMES else ""
    return (
        f"DVC's cache lacks {len(missing)} outputs that dvc.lock names: {names}{more}.\n"
        f"They need {needed}, {free} are free; make room, then `dvc commit`."
    )


def _repro(arguments: Sequence[str]) -> tuple[bool, int]:
    """Whether a stage ran, and the exit code; a signal goes to all of DVC, whose end is awaited."""
    # a session of its own: Ctrl-C then reaches only this process, which sends it on to all of them
    child = subprocess.Popen(
        ["dvc", "repro", *arguments], stdout=subprocess.PIPE, start_new_session=True
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: _forward(child, received))

    assert child.stdout is not None
    ran = False
    for line in iter(child.stdout.readline, b""):
        ran |= line.startswith(b"Running stage")
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
    return ran, child.wait()


def _forward(child: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to the whole group.

    DVC ignores Ctrl-C while a stage runs, and on SIGTERM it leaves the stage alone.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)

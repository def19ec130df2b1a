"""DVC's own files: its lock, and the file that says what the stages last gave."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goodfit.doctor.finding import Finding, found, listed, note, ok
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import LOCK, outputs
from goodfit.system import processes


def locks() -> Iterator[Finding]:
    """A lock that a killed DVC left behind stops later runs; one that is held stays."""
    try:
        holders = dvc.holders()
    except ValueError:
        advice = "it stops every `dvc` command; a kill cut its writing: delete it"
        yield found(f"{dvc.RWLOCK} cannot be read", advice, _delete_stale_lock)
        return
    alive = sorted(
        {f"PID {item.pid} ({item.command})" for item in holders if processes.alive(item.pid)}
    )
    dead = sorted({str(item.pid) for item in holders if not processes.alive(item.pid)})
    if alive:
        # rewriting the file would cross what its holder writes; DVC drops dead entries when it
        # comes to them
        yield note(
            f"{dvc.RWLOCK} is held by {listed(alive)}",
            "wait for it; while it runs, nothing of DVC is mended",
        )
    elif dead:
        advice = "a number that is given out again would count as its holder: delete the file"
        yield found(
            f"{dvc.RWLOCK} names only processes that are gone: {listed(dead)}", advice, _unlock
        )
    else:
        yield ok("no lock of DVC is held")


def _delete_stale_lock() -> str:
    return dvc.delete_stale_lock() or f"{dvc.RWLOCK} is whole or gone by now"


def _unlock() -> str:
    idle()
    dvc.RWLOCK.unlink(missing_ok=True)
    return f"deleted {dvc.RWLOCK}"


def idle() -> None:
    """Raises UserError while DVC works here: what it writes is not to be mended at the same time."""
    if holder := dvc.running():
        raise UserError(f"not while another run ({holder}) works here")


def lock_file() -> Iterator[Finding]:
    """dvc.lock can be read, and is not the half of a merge."""
    if not LOCK.exists():
        yield note(f"{LOCK} does not exist: no stage has run", "`make repro` makes it")
        return
    text = LOCK.read_bytes().decode(errors="replace")
    if re.search(r"^(<<<<<<< |>>>>>>> )", text, re.M):
        advice = f"take one side, `git checkout --ours {LOCK}`, then `make repro`: what differs runs again"
        yield found(f"{LOCK} holds the marks of a merge conflict", advice)
        return
    try:
        outputs()
    except UserError as error:
        yield found(str(error), f"`git checkout {LOCK}`, then `make repro`")
        return
    yield ok(f"{LOCK} can be read")

"""DVC's own files: its lock, and dvc.lock, which says what the stages last gave."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goodfit.doctor.finding import Finding, abbreviate, note, ok, problem
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import LOCK, RWLOCK
from goodfit.system import processes


def locks() -> Iterator[Finding]:
    """No lock is left of a DVC that was killed: it stops later runs; one that is held stays."""
    try:
        holders = dvc.holders()
    except ValueError:
        advice = "it stops every `dvc` command; a kill cut its writing: delete it"
        yield problem(f"{RWLOCK} cannot be read", advice, _delete_stale_lock)
        return

    alive: set[str] = set()
    dead: set[str] = set()
    for holder in holders:
        if processes.alive(holder.pid):
            alive.add(f"PID {holder.pid} ({holder.command})")
        else:
            dead.add(str(holder.pid))

    if alive:
        # rewriting the file would cross what its holder writes; DVC itself drops the dead entries
        message = f"{RWLOCK} is held by {abbreviate(sorted(alive))}"
        yield note(message, "wait for it; while it runs, nothing of DVC is mended")
    elif dead:
        message = f"{RWLOCK} names only processes that are gone: {abbreviate(sorted(dead))}"
        advice = "a new process of the same number would count as its holder: delete the file"
        yield problem(message, advice, _unlock)
    else:
        yield ok("no lock of DVC is held")


def lock_file() -> Iterator[Finding]:
    """dvc.lock can be read, and no merge stopped half-way in it."""
    if not LOCK.exists():
        yield note(f"{LOCK} does not exist: no stage has run", "`make repro` makes it")
        return
    # a bad disk may leave bytes that are no text
    text = LOCK.read_bytes().decode(errors="replace")
    if re.search(r"^(<<<<<<< |>>>>>>> )", text, re.M):
        advice = (
            f"take one side, `git checkout --ours {LOCK}`, "
            "then `make repro`: what differs runs again"
        )
        yield problem(f"{LOCK} holds the marks of a merge conflict", advice)
        return
    try:
        dvc.outputs()
    except UserError as error:
        yield problem(str(error), f"`git checkout {LOCK}`, then `make repro`")
        return
    yield ok(f"{LOCK} can be read")


def check_idle() -> None:
    """Nothing is mended that a running DVC may be writing at the same time.

    Raises:
        UserError: another run works here.
    """
    holder = dvc.running()
    if holder:
        raise UserError(f"not while another run ({holder}) works here")


def _delete_stale_lock() -> str:
    return dvc.delete_stale_lock() or f"{RWLOCK} is whole or gone by now"


def _unlock() -> str:
    check_idle()  # another `dvc` may have begun since the file was examined
    RWLOCK.unlink(missing_ok=True)
    return f"deleted {RWLOCK}"

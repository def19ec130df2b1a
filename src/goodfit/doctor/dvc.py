"""DVC's own files: its lock, and each dvc.lock, which says what the stages last gave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from goodfit.config import gallery
from goodfit.doctor.finding import Finding, abbreviate, note, ok, problem
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import GALLERY_LOCK, LOCK, RWLOCK
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
    """Each dvc.lock and the gallery's list can be read, and no merge stopped half-way in it."""
    if LOCK.exists():
        yield _lock_file(LOCK)
    else:
        yield note(f"{LOCK} does not exist: no stage has run", "`make repro` makes it")
    if GALLERY_LOCK.exists():
        yield _lock_file(GALLERY_LOCK)
    try:
        gallery.active()
    except UserError as error:
        message, _, advice = str(error).rpartition("; ")
        yield problem(message, advice)


def _lock_file(path: Path) -> Finding:
    # a bad disk may leave bytes that are no text
    text = path.read_bytes().decode(errors="replace")
    if re.search(r"^(<<<<<<< |>>>>>>> )", text, re.M):
        advice = (
            f"take one side, `git checkout --ours {path}`, "
            "then `make repro`: what differs runs again"
        )
        return problem(f"{path} holds the marks of a merge conflict", advice)
    try:
        dvc.lock_outputs(path)
    except UserError as error:
        return problem(str(error), f"`git checkout {path}`, then `make repro`")
    return ok(f"{path} can be read")


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

"""DVC's own files: its lock, and the file that says what the stages last gave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from goodfit import process, repro
from goodfit.errors import UserError
from goodfit.finding import Finding, found, listed, note, ok

LOCK = Path("dvc.lock")


class Use(NamedTuple):
    """An output that needs an object: the stage that makes it, and where its bytes lie outside the cache."""

    stage: str
    path: Path


def locks() -> Iterator[Finding]:
    """A lock that a killed DVC left behind stops later runs; one that is held stays."""
    try:
        holders = repro.holders()
    except ValueError:
        advice = "it stops every `dvc` command; a kill cut its writing: delete it"
        yield found(f"{repro.RWLOCK} cannot be read", advice, repro.mend)
        return
    alive = sorted({f"PID {number} ({command})" for number, command in holders if process.alive(number)})
    dead = sorted({str(number) for number, _ in holders if not process.alive(number)})
    if alive:
        # rewriting the file would cross what its holder writes; DVC drops dead entries when it comes to them
        yield note(f"{repro.RWLOCK} is held by {listed(alive)}", "wait for it; while it runs, nothing of DVC is mended")
    elif dead:
        advice = "a number that is given out again would count as its holder: delete the file"
        yield found(f"{repro.RWLOCK} names only processes that are gone: {listed(dead)}", advice, _unlock)
    else:
        yield ok("no lock of DVC is held")


def _unlock() -> str:
    idle()
    repro.RWLOCK.unlink(missing_ok=True)
    return f"deleted {repro.RWLOCK}"


def idle() -> None:
    """Raises UserError while DVC works here: what it writes is not to be mended at the same time."""
    if holder := repro.running():
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


def outputs() -> list[tuple[str, int, Use]]:
    """Hash, bytes and user of each output of dvc.lock that the cache keeps.

    Raises:
        UserError: dvc.lock is not one.
    """
    try:
        content: Any = yaml.load(LOCK.read_text(), Loader=yaml.CSafeLoader) if LOCK.exists() else {"stages": {}}
        return [
            (str(out["md5"]), int(out.get("size", 0)), Use(name, Path(out["path"])))
            for name, stage in content["stages"].items()
            if name.partition("@")[0] != "compose"  # declared `cache: false`
            for out in stage.get("outs", [])
            if "md5" in out
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"{LOCK} cannot be read: {' '.join(str(error).split())[:120]}") from None

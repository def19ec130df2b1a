"""`make doctor`: looks at all that a broken machine, a kill or a bad disk leaves behind, and mends
what is safe.

Exit code 0 where nothing is left to do, 1 where something is.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from goodfit.doctor import cache, databases, dvc, files, machine
from goodfit.doctor.finding import FOUND, Finding, found
from goodfit.errors import UserError
from goodfit.system.secrets import redact

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    machine.versions,
    machine.hardware,
    machine.disks,
    dvc.locks,
    dvc.lock_file,
    cache.cache,
    files.halves,
    files.prepared,
    files.checkpoints,
    files.models,
    databases.mlflow,
    databases.spool,
    databases.optuna,
)
_COLOURS = {"ok": "green", "note": "cyan", "found": "red", "fixed": "green"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line or two for each finding; 1 if one remains."""
    parser = argparse.ArgumentParser(
        prog="python -m goodfit.doctor", description="Examines this repository."
    )
    parser.add_argument(
        "--fix", action="store_true", help="mend what is safe; what may be needed is kept aside"
    )
    fixing = parser.parse_args(arguments).fix
    if not Path("dvc.yaml").exists():
        raise UserError(f"{Path.cwd()} holds no dvc.yaml; run it at the top of a repository")
    fixed = remaining = mendable = 0
    for check in CHECKS:
        for finding in _findings(check):
            if finding.word != FOUND:
                _say(finding.word, finding.what, finding.advice)
            elif fixing and finding.fix and (done := _mended(finding)):
                fixed += 1
                _say("fixed", finding.what, done)
            else:
                remaining += 1
                mendable += finding.fix is not None and not fixing
                by_itself = " (--fix does it)" if finding.fix and not fixing else ""
                _say(FOUND, finding.what, finding.advice + by_itself)
    print(_sum(fixed, remaining, mendable), flush=True)
    return int(remaining > 0)


def _findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check yields; where it meets a file that nobody foresaw, the rest is still examined."""
    try:
        yield from check()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        yield found(
            f"the examination '{check.__name__}' was cut short by {reason}",
            "look at the file that it names",
        )


def _mended(finding: Finding) -> str:
    """What the fix did, "" where it could not."""
    assert finding.fix is not None
    try:
        return finding.fix()
    except Exception as error:  # of MLflow, SQLite or the disk: it remains a finding
        _say("note", f"not mended: {' '.join(str(error).split())[:300]}")
        return ""


def _sum(fixed: int, remaining: int, mendable: int) -> str:
    words = [f"{fixed} fixed"] if fixed else []
    words += [f"{remaining} to be looked at"] if remaining else ["all is well"]
    words += [f"`make doctor FIX=1` mends {mendable} of them"] if mendable else []
    return ", ".join(words)


def _say(word: str, what: str, advice: str = "") -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(Text.assemble((f"{word:<6}", _COLOURS[word]), redact(what)))
    if advice:
        console.print(Text(f"      {redact(advice)}", "dim"))


if __name__ == "__main__":
    import sys

    from goodfit.cli import guarded

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    guarded(lambda: sys.exit(main()))

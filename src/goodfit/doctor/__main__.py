"""`make doctor`: looks for what a broken machine, a kill or a bad disk left, mends what is safe.

Exit code 0 where no problem remains, 1 where one does, 2 outside a repository.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from goodfit.cli import guarded
from goodfit.doctor import agreement, cache, databases, dvc, files, machine
from goodfit.doctor.finding import Finding, count, one_line, problem
from goodfit.errors import UserError
from goodfit.system.secrets import redact

Check = Callable[[], Iterator[Finding]]

# what a later check needs comes first: packages and disks, then DVC, then what it keeps
CHECKS: tuple[Check, ...] = (
    machine.versions,
    machine.hardware,
    machine.disks,
    agreement.folder,
    agreement.experiments,
    dvc.locks,
    dvc.lock_file,
    cache.cache,
    files.half_written,
    files.prepared,
    files.checkpoints,
    files.models,
    databases.mlflow,
    agreement.moved,
    agreement.registry,
    databases.spool,
    databases.optuna,
)
_COLOURS = {"ok": "green", "note": "cyan", "problem": "red", "fixed": "green"}
_INDENT = 9  # columns of the level, and of the advice below it


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line or two for each finding; returns 1 where a problem remains.

    Raises:
        UserError: the current folder is not the top of a repository.
    """
    fixing = _parser().parse_args(arguments).fix
    if not Path("dvc.yaml").exists():
        raise UserError(f"{Path.cwd()} holds no dvc.yaml; run it at the top of a repository")

    fixed = 0
    remaining: list[Finding] = []
    for check in CHECKS:
        for finding in _findings(check):
            if finding.level != "problem":
                _print(finding.level, finding.message, finding.advice)
                continue
            done = _mend(finding) if fixing else None
            if done is not None:
                fixed += 1
                _print("fixed", finding.message, done)
            else:
                remaining.append(finding)
                hint = " (--fix does it)" if finding.fix and not fixing else ""
                _print("problem", finding.message, f"{finding.advice}{hint}")

    mendable = 0 if fixing else sum(finding.fix is not None for finding in remaining)
    print(_summary(fixed, len(remaining), mendable), flush=True)
    return int(len(remaining) > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m goodfit.doctor", description="Examines this repository."
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="mend what is safe; what may be an only copy goes into quarantine",
    )
    return parser


def _findings(check: Check) -> Iterator[Finding]:
    """What a check yields; an error that nobody foresaw ends this check, not the others."""
    try:
        yield from check()
    except Exception as error:  # of a disk or a database that is broken in a new way
        reason = one_line(f"{type(error).__name__}: {error}", 200)
        yield problem(
            f"the check '{check.__name__}' was cut short by {reason}",
            "look at the file that it names",
        )


def _mend(finding: Finding) -> str | None:
    """What the fix did; None where there is none, or where it failed."""
    if finding.fix is None:
        return None
    try:
        return finding.fix()
    except Exception as error:  # of MLflow, SQLite or the disk: the problem remains
        _print("note", f"not mended: {one_line(error, 300)}")
        return None


def _summary(fixed: int, remaining: int, mendable: int) -> str:
    parts = []
    if fixed:
        parts.append(f"{fixed} fixed")
    parts.append(count(remaining, "problem") if remaining else "all is well")
    if mendable:
        parts.append(f"`make doctor FIX=1` mends {mendable} of them")
    return ", ".join(parts)


def _print(level: str, message: str, advice: str | None = None) -> None:
    # a finding is one line, however narrow the terminal: what reads it may be `grep`
    console = Console(soft_wrap=True, highlight=False)
    # a message may quote an address with a password in it
    console.print(Text.assemble((f"{level:<{_INDENT}}", _COLOURS[level]), redact(message)))
    if advice:
        console.print(Text(f"{'':<{_INDENT}}{redact(advice)}", "dim"))


if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))

"""MLflow agrees with the stages' files, in a folder that DVC, git and MLflow can use.

Docs: docs/decisions/0028-registry-and-files.md.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from goodfit.config import gallery, params
from goodfit.doctor.finding import Finding, count, note, ok, problem
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.provenance import checkout
from goodfit.tracking import places, restore
from goodfit.tracking.lookup import NoAnswerError


def folder() -> Iterator[Finding]:
    """DVC and MLflow can keep what they make in this folder, and git knows its commit."""
    path = places.environment_database()
    try:
        checkout.check(_experiments())
        if path:
            places.check(path)
    except UserError as error:
        message, _, advice = str(error).rpartition("; ")
        yield problem(message, advice)
        return
    remarks = list(checkout.notes())
    for remark in remarks:
        yield note(remark)
    if not remarks:
        yield ok("DVC, git and MLflow can work in this folder")


def experiments() -> Iterator[Finding]:
    """What params.yaml asks for is such that `make repro` begins."""
    if not params.PARAMS.exists():
        return
    try:
        params.experiments()
        gallery.check_overridden()
    except UserError as error:
        yield problem(str(error), "mend that file; `make repro` stops at it")


def moved() -> Iterator[Finding]:
    """The places in MLflow's database are where the project is now."""
    path = places.environment_database()
    if path is None:
        return
    try:
        left = places.misplaced(path)
    except sqlite3.Error:
        return  # `mlflow` reports it
    if not left:
        return
    message = (
        f"{path} was moved or copied: it names {count(len(left), 'place')} such as {left[0].old}"
    )
    advice = "models cannot be loaded; `make repro` and every training mend it"
    yield problem(message, advice, functools.partial(_mend, path))


def registry() -> Iterator[Finding]:
    """MLflow has the run and the version of every experiment that the stages have done."""
    agreeing, unknown = 0, []
    for name in _experiments():
        paths = Paths(name)
        if not (paths.model / "train.json").exists():
            continue
        # where its MLflow is, what compose writes says, which neither git nor DVC brings to a clone
        if not paths.config.exists():
            unknown.append(name)
            continue
        try:
            missing = restore.lacking(name)
        except NoAnswerError as error:
            yield note(f"{name}: {error}", "whether it has its run and model is not known")
            continue
        except UserError as error:
            yield problem(f"{name}: {error}", "`make repro` makes it again")
            continue
        if missing:
            message = f"MLflow lacks of {name}: {', '.join(missing)}"
            advice = f"`make repro ONLY={name}` brings it back from the files of its stages"
            yield problem(message, advice, functools.partial(restore.restore, name, missing))
        else:
            agreeing += 1
    if unknown:
        names = ", ".join(unknown)
        message = f"whether MLflow has runs and models of {names} is not known here yet"
        yield problem(message, "`make repro` composes them, and brings back what it lacks")
    yield ok(f"MLflow has what it should of {count(agreeing, 'experiment')}")


def _experiments() -> list[str]:
    """Those that are reproduced here; none where params.yaml cannot be read."""
    try:
        return [*params.experiments(), *gallery.active()]
    except UserError:
        return []


def _mend(path: Path) -> str:
    return places.mend(path) or "nothing was left to mend"

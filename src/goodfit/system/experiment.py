"""A stage that `dvc exp run` started: with --temp or --queue in a copy that DVC deletes.

DVC names the experiment in DVC_EXP_NAME, and in DVC_ROOT the project that the copy is of.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_TRACKING = "MLFLOW_TRACKING_URI"
_SQLITE = "sqlite:///"


def name() -> str | None:
    """What DVC calls the experiment; None outside of one."""
    return os.environ.get("DVC_EXP_NAME")


def home() -> Path:
    """The project's folder, which outlives the experiment: what is not of DVC belongs there."""
    root = os.environ.get("DVC_ROOT")
    return Path(root) if name() and root else Path()


def is_copy() -> bool:
    """Whether the present folder is a copy of the project, which DVC deletes."""
    return home().resolve() != Path.cwd().resolve()


def at_home(uri: str) -> str:
    """The same address of a database, in the project's folder where it is a file without a path."""
    if name() is None or not uri.startswith(_SQLITE):
        return uri
    return f"{_SQLITE}{home() / uri.removeprefix(_SQLITE)}"


def enter() -> None:
    """In a copy, runs are tracked in the project's MLflow, and the code is the copy's.

    Does not return where Python has imported another code: it starts the command anew.
    """
    if not is_copy():
        return
    os.environ[_TRACKING] = at_home(os.environ.get(_TRACKING, f"{_SQLITE}mlflow.db"))
    source = Path.cwd() / "src"
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    is_imported = Path(__file__).resolve().is_relative_to(source.resolve())
    if source.is_dir() and not is_imported and paths[0] != str(source):
        # an environment has a link to the project's own source, which may have been edited since
        # the experiment was queued
        os.environ["PYTHONPATH"] = os.pathsep.join([str(source), *filter(None, paths)])
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself

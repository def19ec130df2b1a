"""A stage that `dvc exp run` started: with --temp or --queue in a copy that DVC deletes.

DVC names the experiment in DVC_EXP_NAME, and in DVC_ROOT the project that the copy is of.
"""

from __future__ import annotations

import os
from pathlib import Path

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

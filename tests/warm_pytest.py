"""Runs pytest on a copy of the repository, in a process that has imported the libraries before.

A mutant's test takes about a second, and importing torch, Lightning and MLflow 6 s of CPU: a
server does that once, and a copy of it (fork) runs each test. It has imported nothing of goodfit.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

LIBRARIES = [
    "dvc.repo",
    "hydra",
    "matplotlib.figure",
    "mlflow.pyfunc",
    "optuna",
    "pytest",
    "pytorch_lightning",
    "sklearn.ensemble",
    "torch",
    "torchmetrics",
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


def start(copy: Path, arguments: list[str], said: Path) -> ForkServerProcess:
    """A process that runs pytest in `copy` and ends with its code; what it says is in `said`."""
    process = _context.Process(target=_run, args=(copy, arguments, said, dict(os.environ)))
    process.start()
    return process


def path_of(copy: Path) -> str:
    """The value of PYTHONPATH by which a process that a test starts runs the copy's source."""
    return str(copy / "src")


def _run(copy: Path, arguments: list[str], said: Path, environment: dict[str, str]) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.environ.clear()
    # goodfit.tracking.database sets some of MLflow's
    os.environ.update(
        {name: value for name, value in environment.items() if not name.startswith("MLFLOW")}
    )
    os.environ |= {"PYTHONPATH": path_of(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    os.chdir(copy)
    here = str(Path(__file__).parents[1])
    others = [entry for entry in sys.path if entry and not entry.startswith(here + "/src")]
    sys.path[:] = [path_of(copy), *others]
    ours = [name for name in sys.modules if name.partition(".")[0] in ("goodfit", "hydra_plugins")]
    assert not ours, f"imported before the copy could be: {ours}"
    import pytest

    # Hydra is a plugin of pytest, too, whose asserts nobody needs to see in full
    options = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    sys.exit(pytest.main([*options, *arguments]))

"""Python in a process of its own, which can import this folder from wherever it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Runs `python <arguments>` in the current folder; AssertionError where it fails.

    A comparison runs in a temporary folder, where `import benchmarks` finds nothing by itself.
    """
    inherited = dict(os.environ if environment is None else environment)
    paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, *arguments],
        env=inherited | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

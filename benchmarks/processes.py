"""Python in a process of its own, which can import this folder from wherever it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
_POLL_SECONDS = 0.02


def run_python(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Runs `python <arguments>` in the current folder; AssertionError where it fails.

    A comparison runs in a temporary folder, where `import benchmarks` finds nothing by itself.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        env=with_python_path(os.environ if environment is None else environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def with_python_path(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment, in which Python finds this folder."""
    paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def peak_memory(process: subprocess.Popen[str]) -> int:
    """Waits for the end of a process; the most bytes that it held besides pages of files."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, _anonymous(process.pid))
        time.sleep(_POLL_SECONDS)
    return peak


def _anonymous(pid: int) -> int:
    """The bytes of a process and its children that are no part of a file."""
    total = 0
    for process in [pid, *_children(pid)]:
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        total += int(found[1]) * 1024 if found else 0
    return total


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in listed]

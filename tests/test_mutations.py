"""Each guard is turned off in a copy of the source: the test that watches it must fail, or it
watches nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[1]
COPIED = (
    "conf",
    "pipelines",
    "src",
    "tests",
    ".dvc",
    "gallery",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
    "requirements.lock",
)
COPIED += (".dvcignore", ".gitignore")


MUTANTS = yaml.safe_load((ROOT / "tests/mutants.yaml").read_text())
each = pytest.mark.parametrize(
    "mutant", MUTANTS, ids=[f"{one['row']}-{Path(one['file']).name}" for one in MUTANTS]
)


@each
def test_a_guard_is_there_to_be_turned_off(mutant: dict[str, Any]) -> None:
    """Quick, so that an edit of a guard is noticed with the other tests."""
    assert (ROOT / mutant["file"]).read_text().count(mutant["old"]) == 1


@pytest.mark.mutation
@each
def test_with_the_guard_off_its_test_fails(mutant: dict[str, Any], tmp_path: Path) -> None:
    for name in COPIED:
        skip = shutil.ignore_patterns("__pycache__", "cache", "tmp", "*.egg-info", "config.local")
        source = ROOT / name
        shutil.copytree(source, tmp_path / name, ignore=skip) if source.is_dir() else shutil.copy(
            source, tmp_path
        )
    file = tmp_path / mutant["file"]
    file.write_text(file.read_text().replace(mutant["old"], mutant["new"]))
    options = [
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "not mutation",
        f"--basetemp={tmp_path / 'temp'}",
    ]
    env = {
        key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")
    }  # goodfit.tracking.runs sets some
    env |= {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *mutant["test"].split()]
    with (tmp_path / "said").open(
        "w"
    ) as said:  # no pipe: what a mutant leaves running would hold it open
        try:
            done = subprocess.run(
                command, cwd=tmp_path, env=env, stdout=said, stderr=said, timeout=240, check=False
            )
        finally:
            end_all(env["PYTHONPATH"])
    assert done.returncode == 1, (tmp_path / "said").read_text()[-3000:]


def end_all(path: str) -> None:
    """Ends what runs from a mutant's source: with a guard off, orphans live on."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PYTHONPATH") == path:
                process.kill()

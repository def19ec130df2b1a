"""Each guard is turned off in a copy of the source: the test that watches it must fail, or it watches nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COPIED = ("conf", "pipelines", "src", "tests", ".dvc", "dvc.yaml", "params.yaml", "pyproject.toml", "requirements.lock")
COPIED += (".dvcignore", ".gitignore")


MUTANTS = yaml.safe_load((ROOT / "tests/mutants.yaml").read_text())
each = pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{one['row']}-{Path(one['file']).name}" for one in MUTANTS])


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
        shutil.copytree(source, tmp_path / name, ignore=skip) if source.is_dir() else shutil.copy(source, tmp_path)
    file = tmp_path / mutant["file"]
    file.write_text(file.read_text().replace(mutant["old"], mutant["new"]))
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not mutation", f"--basetemp={tmp_path / 'temp'}"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *mutant["test"].split()]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, f"{done.stdout[-3000:]}{done.stderr[-1000:]}"

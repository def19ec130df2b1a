"""The Pythons that are named as supported are the same everywhere, and others are refused."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.fault(68)

PROJECT = tomllib.loads((tiny.ROOT / "pyproject.toml").read_text())["project"]
CLASSIFIER = re.compile(r"Programming Language :: Python :: 3\.(\d+)")


def supported() -> list[int]:
    """The minor versions of Python 3 that the package names, oldest first."""
    named = map(CLASSIFIER.fullmatch, PROJECT["classifiers"])
    return sorted(int(match[1]) for match in named if match)


def test_the_package_installs_on_what_it_names_and_on_nothing_else() -> None:
    oldest, newest = supported()[0], supported()[-1]
    assert supported() == list(range(oldest, newest + 1))
    assert PROJECT["requires-python"] == f">=3.{oldest},<3.{newest + 1}"


def test_ci_runs_the_newest() -> None:
    script = (tiny.ROOT / ".ci/run").read_text()
    assert f"newest=3.{supported()[-1]}\n" in script


def test_this_is_one_of_them() -> None:
    """CI's own, by which the other tests run, is the oldest."""
    assert sys.version_info.minor in supported()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_page_names_the_oldest_and_the_newest(page: str) -> None:
    assert f"Python 3.{supported()[0]} to 3.{supported()[-1]}" in (tiny.ROOT / page).read_text()


@pytest.mark.parametrize("minor", [supported()[0] - 1, supported()[-1] + 1])
def test_another_one_is_refused_in_a_line_before_anything_is_installed(
    minor: int, tmp_path: Path
) -> None:
    """Played by this one, which says that it is another."""
    shutil.copy(tiny.ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "requirements.lock").touch()
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -V ] && echo Python 3.{minor}.0 && exit\n'
        f'exec {sys.executable} -c "import sys; sys.version_info = (3, {minor}, 0); '
        'exec(sys.argv[2])" "$@"\n'
    )
    python.chmod(0o755)
    command = ["make", "--no-print-directory", ".venv/ready", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    oldest, newest = supported()[0], supported()[-1]
    assert done.stdout == (
        f"Python 3.{oldest} to 3.{newest} is needed, '{python}' is Python 3.{minor}.0; "
        f"try: make PYTHON=python3.{oldest}\n"
    )
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()

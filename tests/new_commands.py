"""`pipelines/new.py` and `check.py` called as somebody calls them, from a folder of theirs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from goodfit.stages import check, new

New = Callable[..., str]


def project(folder: Path) -> Path:
    """The repository's configuration in a folder beside theirs."""
    shutil.copytree(tiny.ROOT / "conf", folder / "project/conf")
    shutil.copy(tiny.ROOT / "params.yaml", folder / "project")
    return folder / "project"


def caller(
    home: Path, theirs: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> New:
    """Makes an experiment `mine` from their folder; gives what the command printed."""

    def call(*arguments: str) -> str:
        return _called(new.main, home, theirs, patch, capsys, "name=mine", *arguments)

    return call


def checker(
    home: Path, theirs: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> New:
    """Checks their data from their folder; gives what the command printed."""

    def call(*arguments: str) -> str:
        return _called(check.main, home, theirs, patch, capsys, *arguments)

    return call


def _called(
    main: Callable[[], int],
    home: Path,
    theirs: Path,
    patch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> str:
    patch.setenv("COLUMNS", "200")
    patch.chdir(theirs)
    patch.setattr(sys, "argv", [str(home / "pipelines/any.py"), *arguments])
    assert main() == 0
    return capsys.readouterr().out

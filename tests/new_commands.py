"""`pipelines/new.py` called as somebody calls it, from a folder of theirs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from goodfit.stages import new

New = Callable[..., str]


def project(folder: Path) -> Path:
    """The repository's configuration in a folder beside theirs."""
    shutil.copytree(tiny.ROOT / "conf", folder / "project/conf")
    shutil.copy(tiny.ROOT / "params.yaml", folder / "project")
    return folder / "project"


def caller(
    home: Path, theirs: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> New:
    """Calls the command from their folder; gives what it printed."""
    patch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> str:
        patch.chdir(theirs)
        given = [str(home / "pipelines/new.py"), "name=mine", *arguments]
        patch.setattr(sys, "argv", given)
        assert new.main() == 0
        return capsys.readouterr().out

    return call

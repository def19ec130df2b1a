"""What the launcher of several ranks does before it starts them, and after they have ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from goodfit.launch.exchange import MachineExit
from goodfit.launch.ranks import ROOT, _raise_for, remove_abandoned
from goodfit.system.processes import identity


def test_only_folders_of_launchers_that_are_gone_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    remove_abandoned()  # where none has ever been
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        names = {identity(), identity(other.pid), "elsewhere:1@2"}
        for name in names:
            (ROOT / name).mkdir(parents=True)
            (ROOT / name / "job.json").touch()
        remove_abandoned()
        assert {folder.name for folder in ROOT.iterdir()} == names
        killed = identity(other.pid)
        other.kill()
    remove_abandoned()
    assert {folder.name for folder in ROOT.iterdir()} == names - {killed}


@pytest.mark.fault(19)
def test_where_the_process_that_starts_the_ranks_is_killed_it_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        _raise_for([MachineExit(exit_code=-9, errors=(), killed={})])
    assert ended.value.code == 1
    line = (
        "goodfit: the process that starts the ranks was killed by SIGKILL; the same command goes on"
    )
    assert capsys.readouterr().err == f"{line}\n"

"""DVC's lock file is judged only when DVC is not writing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from goodfit import repro

WRITER = """
import json, os, sys, time
from dvc.lock import make_lock
with make_lock(".dvc/tmp/rwlock.lock"), open(".dvc/tmp/rwlock", "w") as file:
    print("half", flush=True)
    time.sleep(0.5)
    json.dump({"write": {"model": {"pid": os.getpid(), "cmd": "dvc repro"}}}, file)
sys.stdin.read()
"""


def test_a_lock_file_that_dvc_is_writing_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repro.RWLOCK.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        assert repro.RWLOCK.read_text() == ""  # as a kill would leave it
        assert repro.mend() == ""
        assert repro.running() == f"PID {writer.pid}, dvc repro"
        assert repro.mend() == ""
        writer.communicate()
    assert repro.running() == ""
    assert repro.mend().endswith("names processes that are gone: deleted")
    assert not repro.RWLOCK.exists()


def test_where_dvc_has_never_run_there_is_nothing_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (repro.running(), repro.mend()) == ("", "")
    assert not list(tmp_path.iterdir())


FIRST = """
import sys
from goodfit import repro
with repro._first() as holder:
    print(holder or "first", flush=True)
    sys.stdin.read()
"""


@pytest.mark.fault(9)
def test_between_stages_too_the_second_says_who_is_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["repro"])
    with subprocess.Popen([sys.executable, "-c", FIRST], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"first\n"
        assert repro.main() == 3
        first.communicate()
    said = f"goodfit: another run (PID {first.pid}, make repro) holds the lock; wait for it, or stop it\n"
    assert capsys.readouterr().err == said
    with repro._first() as holder:
        assert holder == ""

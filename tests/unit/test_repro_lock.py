"""DVC's lock file is judged only when DVC is not writing it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from goodfit.provenance import dvc
from goodfit.stages import repro

WRITER = """
import json, os, sys, time
from dvc.lock import make_lock
with make_lock(".dvc/tmp/rwlock.lock"), open(".dvc/tmp/rwlock", "w") as file:
    print("half", flush=True)
    time.sleep(0.5)
    json.dump({"write": {"model": {"pid": os.getpid(), "cmd": "dvc repro"}}}, file)
sys.stdin.read()
"""


def test_a_lock_file_that_dvc_is_writing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dvc.RWLOCK.parent.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        assert dvc.RWLOCK.read_text() == ""  # as a kill would leave it
        assert dvc.delete_stale_lock() is None
        assert dvc.running() == (writer.pid, "dvc repro")
        assert dvc.delete_stale_lock() is None
        writer.communicate()
    assert dvc.running() is None
    assert str(dvc.delete_stale_lock()).endswith("names processes that are gone: deleted")
    assert not dvc.RWLOCK.exists()


def test_where_dvc_has_never_run_there_is_nothing_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (dvc.running(), dvc.delete_stale_lock()) == (None, None)
    assert not list(tmp_path.iterdir())


FIRST = """
import sys
from goodfit.stages import repro
with repro._only_one() as holder:
    print(holder or "first", flush=True)
    sys.stdin.read()
"""


@pytest.mark.fault(9)
def test_between_stages_too_the_second_says_who_is_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["repro"])
    Path("params.yaml").write_text("experiments: [tiny]\n")
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/tiny.yaml").touch()
    subprocess.run(["git", "init", "-q"], check=True)
    with subprocess.Popen(
        [sys.executable, "-c", FIRST], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"first\n"
        assert repro.main() == 3
        first.communicate()
    holder = f"another run (PID {first.pid}, make repro)"
    message = f"goodfit: {holder} holds the lock; wait for it, or stop it\n"
    assert capsys.readouterr().err == message
    with repro._only_one() as other:
        assert other is None


@pytest.mark.fault(10)
def test_the_room_that_is_free_is_that_of_the_caches_own_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setattr(dvc, "cache_folder", lambda: disk / "files/md5")
    monkeypatch.setattr(shutil, "disk_usage", {disk: SimpleNamespace(free=5e6)}.__getitem__)
    missing = [dvc.Output("train@x", Path("models/x"), "0", 7_000_000)]
    assert "They need 7.0 MB, 5.0 MB are free" in repro._explain(missing)


@pytest.mark.slow
@pytest.mark.fault(47)
def test_only_what_was_asked_for_is_looked_for_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague's dvc.lock names results of other experiments that were never pulled."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["dvc", "init", "--no-scm", "--quiet"], check=True)
    stages = {}
    for name in ("mine", "theirs"):
        Path(name).write_text(name)
        stages[f"train@{name}"] = {"outs": [{"path": name, "md5": name * 4, "size": 4}]}
    dvc.LOCK.write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    assert [output.path.name for output in dvc.uncached(["mine"])] == ["mine"]
    assert dvc.uncached(["neither"]) == []

"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from goodfit.system.files import read_json, replacing_file, replacing_folder, write_json

CHILD = """
import os, shutil, signal, sys
from pathlib import Path
from goodfit.system.files import replacing_file, replacing_folder
path, moment = Path(sys.argv[1]), sys.argv[2]
def stop(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def half(folder, **_):
    next(Path(folder).iterdir()).unlink()
    stop()
if moment == "before the rename":
    Path.replace = stop
if moment == "amid the removal":
    shutil.rmtree = half
replacing = replacing_file if path.suffix else replacing_folder
with replacing(path) as part:
    with (part / "a").open("w") if not path.suffix else part.open("w") as stream:
        stream.write("half")
        stream.flush()
        if moment == "mid write":
            os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(path: Path) -> None:
    with replacing_file(path) as part:
        part.write_text("half")
        raise ZeroDivisionError


def test_a_crash_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        crash(path)
    assert path.read_text() == "old"


def test_a_crash_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        crash(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(1)
@pytest.mark.parametrize("moment", ["mid write", "before the rename"])
def test_kill_9_leaves_the_old_content(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", CHILD, str(path), moment], check=False)
    assert (done.returncode, path.read_text()) == (-signal.SIGKILL, "old")


def test_what_kill_9_left_behind_does_not_reach_the_next_content(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    left = tmp_path / ".folder.part"
    left.mkdir()
    (left / "stray").write_text("half")
    with replacing_folder(path) as part:
        (part / "new").write_text("whole")
    assert [file.name for file in path.iterdir()] == ["new"]


@pytest.mark.fault(1)
@pytest.mark.parametrize("moment", ["before the rename", "amid the removal"])
def test_kill_9_never_leaves_half_a_folder(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    for name in ("a", "b"):
        (path / name).write_text("whole")
    done = subprocess.run([sys.executable, "-c", CHILD, str(path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    old = {"a": "whole", "b": "whole"}
    new = {"a": "half"}
    assert {file.name: file.read_text() for file in path.iterdir()} in (old, new)


def test_ended_between_its_two_renames_the_old_folder_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a signal, which raises SystemExit wherever the process is."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("whole")
    replace = Path.replace

    def stopped(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise SystemExit(143)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(SystemExit), replacing_folder(path) as part:
        (part / "new").write_text("whole")
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_whose_name_has_a_dot_is_written_as_one(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "my.experiment") as part:
        (part / "x").write_text("whole")
    assert (tmp_path / "my.experiment" / "x").read_text() == "whole"


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").write_text("old")
    with replacing_folder(path) as part:
        (part / "new").write_text("new")
    assert [file.name for file in path.iterdir()] == ["new"]


def test_json_with_nan_is_refused_and_the_old_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"score": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"score": float("nan")})
    assert read_json(path) == {"score": 1.0}


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_json(tmp_path / "b.json", {"a": 2, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 2, "b": 1}


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(OSError, match="file"), replacing_file(blocked / "x.txt") as part:
        part.write_text("never")
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208

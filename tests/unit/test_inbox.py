"""A file that was edited after it was pinned is told, with how to take it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from goodfit.paths import INBOX, Paths
from goodfit.store.inbox import edited
from goodfit.system.files import read_json, sha256, write_json


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in data/inbox, and the copy that fetch made of it."""
    monkeypatch.chdir(tmp_path)
    INBOX.mkdir(parents=True)
    inbox = INBOX / "houses.csv"
    inbox.write_text("a,y\n1,no\n")
    copy = Paths("mine").raw / "table/houses.csv"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(inbox, copy)
    an_hour_ago = time.time() - 3600  # a kernel's clock for files ticks in milliseconds
    os.utime(copy, (an_hour_ago, an_hour_ago))
    source = {"file": "some/houses.csv", "sha256": sha256(inbox)}
    Paths("mine").config.parent.mkdir()
    write_json(Paths("mine").config, {"data": {"sources": {"table": source}}})
    return inbox


@pytest.mark.fault(50)
@pytest.mark.parametrize("content", ["a,y\n1,no\n2,yes\n", "a,y\n1,ja\n"])
def test_an_edit_is_told_with_the_override_that_takes_it(taken: Path, content: str) -> None:
    assert list(edited("mine")) == []
    before = taken.stat()
    taken.write_text(content)
    os.utime(taken, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` of an older file
    assert list(edited("mine")) == [
        "data/inbox/houses.csv is not the file that mine is pinned to, and is not used; to take "
        f"it: data.sources.table.sha256={sha256(taken)}"
    ]


@pytest.mark.fault(50)
def test_an_edit_is_told_of_a_file_that_stays_where_a_mirror_names_it(taken: Path) -> None:
    """As `new.py` names the user's own file."""
    place = taken.rename("houses.csv").absolute()
    cfg = read_json(Paths("mine").config)
    cfg["data"]["sources"]["table"]["mirrors"] = ["https://localhost/houses.csv", str(place)]
    write_json(Paths("mine").config, cfg)
    assert list(edited("mine")) == []
    place.write_text("a,y\n1,ja\n")
    assert [line.partition(" is not")[0] for line in edited("mine")] == [str(place)]


def test_an_equal_file_that_was_put_there_anew_is_no_edit(taken: Path) -> None:
    content = taken.read_text()
    taken.unlink()
    taken.write_text(content)
    assert list(edited("mine")) == []
    taken.unlink()
    assert list(edited("mine")) == []
    assert list(edited("never composed")) == []


def test_a_start_of_make_repro_pays_for_no_pydantic() -> None:
    code = "import sys, goodfit.store.inbox; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

"""A rank without a heartbeat is killed by another one; a rank with one is left alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodfit.launch import liveness
from goodfit.launch.liveness import RankWatch
from goodfit.system.processes import identity

LIMIT = 1.0


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Stands for rank 1: a process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RankWatch:
    """Rank 0's, of which no thread runs."""
    monkeypatch.setattr(liveness, "RANK_TIMEOUT", LIMIT)
    return RankWatch(tmp_path, identity(), rank=0)


def look(watch: RankWatch, heartbeat: Path, *, beats: bool) -> None:
    """Looks for twice the limit, while the heartbeat goes on, or does not."""
    deadline = time.monotonic() + 2 * LIMIT
    while time.monotonic() < deadline and heartbeat.exists():
        if beats:
            heartbeat.touch()
        watch.kill_frozen()
        time.sleep(LIMIT / 10)


def test_a_rank_without_a_heartbeat_is_killed_and_named(
    watch: RankWatch,
    sleeper: subprocess.Popen[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    heartbeat = tmp_path / "alive-1"
    heartbeat.write_text(identity(sleeper.pid))
    look(watch, heartbeat, beats=False)
    assert sleeper.wait(5) == -9
    assert capsys.readouterr().err == "goodfit: rank 1 has had no heartbeat for 1 s\n"


def test_a_rank_with_a_heartbeat_is_left_alone(
    watch: RankWatch,
    sleeper: subprocess.Popen[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    heartbeat = tmp_path / "alive-1"
    heartbeat.write_text(identity(sleeper.pid))
    look(watch, heartbeat, beats=True)
    assert sleeper.poll() is None
    assert capsys.readouterr().err == ""


def test_a_rank_that_has_ended_is_not_taken_for_a_frozen_one(
    watch: RankWatch,
    sleeper: subprocess.Popen[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rank 0 scores and writes the model alone; another process may have the other one's id now."""
    heartbeat = tmp_path / "alive-1"
    heartbeat.write_text(f"{identity(sleeper.pid)}1")
    look(watch, heartbeat, beats=False)
    assert not heartbeat.exists()
    assert sleeper.poll() is None
    assert capsys.readouterr().err == ""

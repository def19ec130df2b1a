"""Who has no heartbeat any more: ranks, which are killed, and machines, which are named."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from goodfit.launch import liveness
from goodfit.launch.liveness import MachineWatch, RankWatch
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_rank_zero_says_once_that_the_launcher_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as launcher:
        name = identity(launcher.pid)
        watches = [RankWatch(tmp_path, name, rank) for rank in (0, 1)]
        watches[0].report_if_orphaned()
        assert capsys.readouterr().err == ""
        launcher.kill()
    for watch in (*watches, watches[0]):
        watch.report_if_orphaned()
    line = "goodfit: the process that began this training is gone: stopping\n"
    assert capsys.readouterr().err == line


@pytest.mark.slow
def test_a_machine_counts_as_alive_no_longer_than_it_was() -> None:
    """Else an error that its end causes on another machine would count as the first one."""
    from torch.distributed import TCPStore

    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    stores = [TCPStore("127.0.0.1", server.port, wait_for_workers=False) for _ in range(2)]
    first, second = (MachineWatch(store, node, 2) for node, store in enumerate(stores))
    second.start()  # beats at 0, 1 and 2 s
    time.sleep(0.5)
    first.start()  # asks at 0.5, 1.5 and 2.5 s
    time.sleep(1.6)
    second.stop()
    ended = time.monotonic()
    time.sleep(0.9)
    alive = time.monotonic() - first.since_surely_alive(1)
    first.stop()
    assert ended - 2.5 < alive < ended


RANK = """
import sys, time
from pathlib import Path
from goodfit.launch import liveness
liveness.RANK_INTERVAL, liveness.RANK_TIMEOUT, liveness.RANK_GRACE = 0.1, 1.0, 0.1
liveness.RankWatch(Path(sys.argv[1]), sys.argv[2], rank=0).start()
print("watches", flush=True)
time.sleep(60)
"""


@contextmanager
def rank(folder: Path, launcher: str) -> Iterator[subprocess.Popen[str]]:
    """A process of rank 0 that does nothing but watch."""
    command = [sys.executable, "-c", RANK, str(folder), launcher]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "watches\n"
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_rank_looks_by_itself_for_one_that_is_frozen(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "alive-1").write_text(identity(sleeper.pid))
    with rank(tmp_path, identity()) as process:
        assert sleeper.wait(10) == -9
        assert process.poll() is None


def test_a_rank_ends_by_itself_when_its_launcher_is_gone(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with rank(tmp_path, identity(sleeper.pid)) as process:
        sleeper.kill()
        _, said = process.communicate(timeout=10)
    assert process.returncode != 0
    assert said == "goodfit: the process that began this training is gone: stopping\n"

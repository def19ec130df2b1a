"""A process is known by its birth, not by its number alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from goodfit.system import signals
from goodfit.system.processes import gone, identity, pid_of

TELL = "from goodfit.system.processes import identity; print(identity(), flush=True); input()"


def test_this_process_is_not_gone() -> None:
    assert not gone(identity())


def test_another_process_is_gone_once_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert not gone(name)
        other.kill()
    assert gone(name)


def test_one_that_has_ended_but_was_not_waited_for_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        other.kill()
        deadline = time.monotonic() + 10
        while not gone(name) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gone(name)
        assert other.returncode is None  # a zombie: nobody has asked for its end yet


def test_a_number_that_another_process_has_now_is_gone() -> None:
    assert gone(identity() + "1")


def test_nothing_is_said_about_another_machine() -> None:
    assert not gone(identity().replace(socket.gethostname(), "elsewhere"))


def test_an_identity_names_the_process_id() -> None:
    assert pid_of(identity()) == os.getpid()


def test_a_process_whose_dvc_ended_before_it_was_watched_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[int, int]] = []

    class ExitedError(Exception):
        """Stands for the end of this process."""

    def leave(code: int) -> None:
        raise ExitedError(code)

    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(signals, "GRACE", 0.0)
    with subprocess.Popen([sys.executable, "-c", ""]) as other:
        dvc = psutil.Process(other.pid)
    with pytest.raises(ExitedError):
        signals._watch(dvc)
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_nothing_is_said_about_what_is_no_process() -> None:
    assert not gone("")


POOL = """
import time
from pathlib import Path
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import getpid
from goodfit.system.processes import exit_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), exit_with_parent) as pool:
        print(pool.submit(getpid).result(), flush=True)
        time.sleep(60)
"""


@pytest.mark.slow
def test_a_worker_of_a_pool_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()
        worker.wait(timeout=10)  # raises TimeoutExpired where it goes on
    assert not worker.is_running()

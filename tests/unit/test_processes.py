"""A process is known by its birth, not by its number alone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from goodfit.system.processes import gone, identity

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


def test_nothing_is_said_about_what_is_no_process() -> None:
    assert not gone("")

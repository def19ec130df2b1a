"""Of two processes that begin the same training at once, one is refused."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch import resume
from goodfit.launch.fit import fit
from goodfit.system.processes import identity

pytestmark = pytest.mark.fault(9)
FOLDER = Path("build/checkpoints/tiny")
CLAIM = """
import sys, time
from pathlib import Path
from goodfit.launch import resume
with resume.claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_that_another_process_has_just_begun_is_refused(
    home: Callable[..., DictConfig], devices: int
) -> None:
    cfg = home(trainer={"devices": devices, "strategy": "auto" if devices == 1 else "ddp"})
    command = [sys.executable, "-c", CLAIM, str(FOLDER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(UserError, match=f"is being trained by process {identity(other.pid)}"):
            fit(cfg)
        other.kill()


@pytest.mark.fault(26)
@pytest.mark.parametrize("devices", [1, 2])
def test_what_a_training_left_is_looked_at_by_the_one_that_has_claimed_it(
    home: Callable[..., DictConfig], devices: int
) -> None:
    """Looked at before, it may be gone when the training goes on from it: the other has ended."""
    strategy = "auto" if devices == 1 else "ddp"
    cfg = home(resume="must", trainer={"devices": devices, "strategy": strategy})
    command = [sys.executable, "-c", CLAIM, str(FOLDER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(UserError, match="is being trained by process"):
            fit(cfg)
        other.kill()


def test_a_lock_that_its_owner_deletes_meanwhile_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else this process and a third, which makes the file anew, would both hold a lock."""
    folder = tmp_path / "training"
    lock = tmp_path / ".training.lock"
    flock = fcntl.flock
    opened = []

    def delete_first(handle: IO[str], operation: int) -> None:
        opened.append(handle)
        if len(opened) == 1:
            lock.unlink()
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    with (
        resume.claimed(folder),
        pytest.raises(UserError, match="is being trained by"),
        resume.claimed(folder),
    ):
        pass
    assert len(opened) == 3


def test_a_claim_ends_with_its_block_or_its_process(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    with resume.claimed(folder):
        pass
    assert list(tmp_path.iterdir()) == []

    command = [sys.executable, "-c", CLAIM, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "claimed\n"
        other.kill()
    with resume.claimed(folder):
        pass

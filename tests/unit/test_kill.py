"""After kill -9 at any point of saving a checkpoint the same command trains to the same end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cutting import same
from omegaconf import DictConfig

from goodfit.launch.fit import fit
from goodfit.system import files
from goodfit.training.checkpoint import load
from goodfit.training.checkpoint_files import CheckpointNote, step_checkpoints

Home = Callable[..., DictConfig]
FOLDER = Path("build/checkpoints/tiny")
MOMENTS = ("mid write", "before the rename", "after the rename", "before the hash is noted")


def often(home: Home) -> DictConfig:
    return home(
        trainer={"max_epochs": 3},
        model={"dropout": 0.4},
        early_stopping={"patience": None},
        checkpoint={"seconds": 0},
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def planted(moment: str, saves: int) -> None:
    """From now on this process is killed at that point of saving its `saves`-th step checkpoint."""
    count = 0

    def last(path: Path) -> bool:
        nonlocal count
        count += path.name.lstrip(".").startswith("step-")
        return count == saves

    save = torch.save
    write_note = CheckpointNote.write
    replace = Path.replace

    def saving(content: Any, path: Path) -> None:
        save(content, path)
        if moment == "mid write" and last(path):
            os.truncate(path, path.stat().st_size // 2)
            die()

    def renaming(self: Path, target: Path) -> Path:
        hit = self.name.endswith(".ckpt.part") and moment.endswith("rename") and last(self)
        if hit and moment.startswith("before"):
            die()
        moved = replace(self, target)
        if hit:
            die()
        return moved

    def noting(self: CheckpointNote, path: Path) -> None:
        if moment == "before the hash is noted" and last(path):
            die()
        write_note(self, path)

    torch.save = saving  # type: ignore[assignment]
    CheckpointNote.write = noting  # type: ignore[method-assign]
    files.Path.replace = renaming  # type: ignore[method-assign, assignment]


def killed(cfg: DictConfig, moment: str, saves: int) -> None:
    """Trains in a fork of this process, which has imported everything, until the kill."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            planted(moment, saves)
            fit(cfg, out=Path("model"))
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.fault(1)
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_it_saves_it_goes_on_from_the_save_before(
    home: Home, moment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # another file system, to which a rename would be a copy
    monkeypatch.setenv("TMPDIR", "/dev/shm")  # noqa: S108
    fit(often(home), out=Path("whole"))
    killed(often(home), moment, saves=4)
    assert not Path("model").exists()
    left = step_checkpoints(FOLDER)
    # without its hash the newest counts as unfinished, whole or not
    expected = left[1] if moment.startswith(("after", "before the hash")) else left[0]
    capsys.readouterr()
    fit(often(home), out=Path("model"))
    assert f"({expected}, verified)" in capsys.readouterr().out
    assert same(Path("model"), Path("whole"))


@pytest.mark.fault(1)
def test_every_checkpoint_that_a_kill_leaves_can_be_loaded_or_is_refused(home: Home) -> None:
    killed(often(home), "mid write", saves=5)
    assert [path.name for path in FOLDER.glob(".*.part")] == [".step-000000005.ckpt.part"]
    for path in FOLDER.glob("*.ckpt"):
        assert load(path)["state_dict"]


@pytest.mark.slow
@pytest.mark.fault(1)
def test_what_a_kill_cut_is_gone_once_the_training_goes_on(home: Home) -> None:
    killed(often(home), "mid write", saves=5)
    killed(often(home), "before the rename", saves=2)
    assert [path.name for path in FOLDER.glob(".*.part")] == [".step-000000006.ckpt.part"]

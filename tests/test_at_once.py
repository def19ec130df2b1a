"""Several trainings at once give what one behind the other gives, and none outlives its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from furnished import furnish
from omegaconf import OmegaConf

from goodfit.repeats import result
from goodfit.repeats.result import Repeated
from goodfit.system.hardware import cores
from goodfit.tracking import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(cores()) < 2, reason="needs two cores"),
]
COMMAND = """
from pathlib import Path

from goodfit.cli import guarded
from goodfit.config import tree
from goodfit.stages.repeated import repeated

guarded(lambda: repeated(tree.load(Path("config.yaml")), ["experiment=tiny"], seeds=3))
"""
LONG = {"trainer": {"max_epochs": 120}, "early_stopping": {"patience": None}}


class Folder:
    """A folder with data and a configuration, in which three seeds are trained."""

    def __init__(self, root: Path, cfg: Any) -> None:
        self.root, self.cfg = root, cfg

    def change(self, **sections: Any) -> None:
        """Writes the configuration, with some sections changed."""
        self.cfg = OmegaConf.merge(self.cfg, sections)
        OmegaConf.save(self.cfg, self.root / "config.yaml")

    def start(self) -> subprocess.Popen[str]:
        """The command, as a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-u", "-c", COMMAND],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self) -> tuple[int, str, str]:
        """Its exit code and what it wrote to both streams."""
        process = self.start()
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err

    def found(self) -> Repeated:
        """What the trainings gave."""
        (folder,) = (self.root / "build/repeats/tiny").glob("[!.]*")
        return result.read(folder)[0]


@pytest.fixture
def folder(tmp_path: Path, prepared: Any, database: Path) -> Folder:
    made = Folder(tmp_path, furnish(tmp_path, prepared, database, "breast_cancer"))
    made.change()
    return made


def both_in_training(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The two workers, once each has printed a line about an epoch."""
    assert process.stdout is not None
    seen: set[str] = set()
    for line in process.stdout:
        title, _, said = line.partition(": ")
        if said.startswith("epoch"):
            seen.add(title)
        if len(seen) == 2:
            break
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    return workers


def ended(processes: list[psutil.Process]) -> bool:
    deadline = time.monotonic() + 20
    while any(each.is_running() and each.status() != "zombie" for each in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def alone(
    tmp_path_factory: pytest.TempPathFactory, prepared: Any, database: Path
) -> Callable[..., Repeated]:
    """The same three seeds, one behind the other, on one core."""

    def trained(**sections: Any) -> Repeated:
        root = tmp_path_factory.mktemp("alone")
        made = Folder(root, furnish(root, prepared, database, "breast_cancer"))
        made.change(**sections)
        first = min(cores())
        process = subprocess.run(
            [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{first}])\n{COMMAND}"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        assert "at once" not in process.stdout
        return made.found()

    return trained


def scores(found: Repeated) -> list[tuple[int, int, float]]:
    return [(each.seed, each.epochs, each.score) for each in found.singles]


def test_at_once_gives_what_one_behind_the_other_gives(folder: Folder, alone: Any) -> None:
    code, out, err = folder.run()
    assert (code, err) == (0, "")
    assert "2 trainings at once, each on 1 core" in out
    assert scores(folder.found()) == scores(alone())
    lines = [line for line in out.splitlines() if "  step " in line]
    assert lines
    assert all(line.startswith(("seed 0: ", "seed 1: ", "seed 2: ")) for line in lines)


def test_a_stopped_command_leaves_no_worker_and_goes_on(folder: Folder) -> None:
    folder.change(**LONG)
    for number in (signal.SIGTERM, signal.SIGINT):
        process = folder.start()
        workers = both_in_training(process)
        os.killpg(process.pid, number)  # as a terminal, or a scheduler, sends it to all
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert ended(workers)
        # the parent ends at once; each worker after its step, though two signals may reach it
        assert (err.count("stopped by"), err.count("stopping after this step")) == (1, 2)
    folder_of_steps = folder.root / "build/checkpoints"
    assert len(list(folder_of_steps.rglob("step-*.ckpt"))) >= 2  # both have saved themselves

    code, out, _ = folder.run()
    assert code == 0
    assert out.count("resuming from") == 2
    assert [each.epochs for each in folder.found().singles] == [120] * 3
    nested = runs.find(str(folder.cfg.tracking.uri), folder.found().run_id)
    assert nested is not None


def test_a_killed_worker_ends_the_command_in_a_line_and_the_other_training(folder: Folder) -> None:
    folder.change(**LONG)
    process = folder.start()
    workers = both_in_training(process)
    workers[0].kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == (
        "goodfit: the process of a training was killed by SIGKILL; the same command goes on"
    )
    assert ended(workers)
    assert list((folder.root / "build/repeats").rglob("train.json")) == []  # the other one stopped


def test_workers_end_with_a_command_that_was_killed(folder: Folder) -> None:
    folder.change(**LONG)
    process = folder.start()
    workers = both_in_training(process)
    process.kill()
    process.communicate(timeout=60)
    assert ended(workers)


def test_what_ends_one_training_is_said_once_without_a_traceback(folder: Folder) -> None:
    folder.change(optimizer={"lr": 1e30})
    code, _, err = folder.run()
    assert code == 1
    assert "Traceback" not in err
    assert err.count("non-finite loss") == 1

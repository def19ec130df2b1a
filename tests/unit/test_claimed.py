"""Of two processes that begin the same training at once, one is refused."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from cutting import cut
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch import resume
from goodfit.launch.fit import fit
from goodfit.system.processes import identity
from goodfit.tracking import database, runs

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


@contextmanager
def claimed_elsewhere(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed a training; it is gone at the end, also where a test fails."""
    command = [sys.executable, "-c", CLAIM, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout
            assert other.stdout.readline() == "claimed\n"
            yield other
        finally:
            other.kill()


@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_that_another_process_has_just_begun_is_refused(
    home: Callable[..., DictConfig], devices: int
) -> None:
    cfg = home(trainer={"devices": devices, "strategy": "auto" if devices == 1 else "ddp"})
    with (
        claimed_elsewhere(FOLDER) as other,
        pytest.raises(UserError, match=f"is being trained by process {identity(other.pid)}"),
    ):
        fit(cfg)


@pytest.mark.fault(35)
@pytest.mark.parametrize("devices", [1, 2])
def test_what_a_training_left_is_looked_at_by_the_one_that_has_claimed_it(
    home: Callable[..., DictConfig], devices: int
) -> None:
    """Looked at before, it may be gone when the training goes on from it: the other has ended."""
    strategy = "auto" if devices == 1 else "ddp"
    cfg = home(resume="must", trainer={"devices": devices, "strategy": strategy})
    refused = pytest.raises(UserError, match="is being trained by process")
    with claimed_elsewhere(FOLDER), refused:
        fit(cfg)


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

    with claimed_elsewhere(folder):
        pass
    with resume.claimed(folder):
        pass


ELSEWHERE = """
import sys, time
from goodfit.tracking import runs
run = runs.start(sys.argv[1], "tiny", "x", tags={runs.TRAINING_TAG: sys.argv[2]}, params={})
if sys.argv[3] == "evaluate":
    run.log({"cost_seconds": 1.0})
    run.flush()
print(run.run_id, flush=True)
time.sleep(60)
"""


@contextmanager
def other_clone(uri: str, digest: str, stage: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that trains, or has trained, in another clone; with the id of its run."""
    command = [sys.executable, "-c", ELSEWHERE, uri, digest, stage]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.fault(35)
def test_the_same_training_in_a_clone_that_shares_mlflow_is_refused(
    home: Callable[..., DictConfig], tmp_path: Path
) -> None:
    cfg = home()
    uri, digest = str(cfg.tracking.uri), resume.plan(cfg, (), 1).digest
    with other_clone(uri, digest, "train") as (run_id, other):
        told = f"the same training is running as {run_id}, by process {identity(other.pid)}; "
        with pytest.raises(UserError, match=re.escape(told)):
            fit(cfg, out=tmp_path / "model")
        assert [run.info.run_id for run in runs_of(uri)] == [run_id]
        fit(home(seed=1), out=tmp_path / "another")
    fit(cfg, out=tmp_path / "model")  # the other process is gone


@pytest.mark.slow
@pytest.mark.fault(35)
def test_a_training_that_goes_on_is_refused_where_another_clone_is_at_it(
    home: Callable[..., DictConfig], tmp_path: Path
) -> None:
    cfg = home()
    cut(cfg, 1, 0)
    cut_run = runs_of(str(cfg.tracking.uri))[0]
    digest = cut_run.data.tags["goodfit.training"]
    assert digest == resume.plan(cfg, (), 1).digest
    with (
        other_clone(str(cfg.tracking.uri), digest, "train"),
        pytest.raises(UserError, match="the same training is running as"),
    ):
        fit(cfg, out=tmp_path / "model")
    done = fit(cfg, out=tmp_path / "model")
    assert done
    assert done.run_id == cut_run.info.run_id


@pytest.mark.slow
@pytest.mark.fault(35)
def test_a_run_that_is_evaluated_hinders_no_training(
    home: Callable[..., DictConfig], tmp_path: Path
) -> None:
    cfg = home()
    digest = resume.plan(cfg, (), 1).digest
    with other_clone(str(cfg.tracking.uri), digest, "evaluate"):
        fit(cfg, out=tmp_path / "model")


@pytest.mark.fault(35)
def test_a_process_of_another_machine_is_told_and_hinders_no_training(
    home: Callable[..., DictConfig], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It may be gone, and nobody here could know."""
    cfg = home()
    uri, digest = str(cfg.tracking.uri), resume.plan(cfg, (), 1).digest
    tags = {runs.TRAINING_TAG: digest}
    away = runs.start(uri, "tiny", "x", tags=tags, params={})
    away.client.set_tag(away.run_id, "goodfit.process", "elsewhere:7@1")
    fit(cfg, out=tmp_path / "model")
    told = f"the same training is running as {away.run_id}, by process elsewhere:7@1, unless"
    assert told in capfd.readouterr().out


def runs_of(uri: str) -> list[Any]:
    """The runs of the experiment, the newest first."""
    client = database.connect(uri)
    experiment = client.get_experiment_by_name("tiny")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []

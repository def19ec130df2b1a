"""`make repro` is cut, crowded and starved, and ends with the results of an undisturbed one."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from repository import Repository, make

pytestmark = pytest.mark.slow
REPRO = [sys.executable, "pipelines/repro.py"]
RWLOCK = ".dvc/tmp/rwlock"


def arranged(path: Path) -> Repository:
    """One experiment with a training of some seconds, in which nothing has run yet."""
    path.mkdir(parents=True, exist_ok=True)
    made = make(path)
    content = yaml.safe_load((made.path / "params.yaml").read_text())
    options = [
        item
        for item in content["overrides"]["mnist"]
        if "epochs" not in item and "patience" not in item
    ]
    options += ["trainer.max_epochs=150", "early_stopping.patience=null", "checkpoint.seconds=0"]
    made.edit("params.yaml", experiments=["mnist"], overrides={"mnist": options})
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Done without disturbance."""
    made = arranged(tmp_path_factory.mktemp("whole"))
    made.run(*REPRO)
    return made


@pytest.fixture
def fresh(whole: Repository, tmp_path: Path) -> Repository:
    """The same, with the training still to be done."""
    copy = Repository(Path(shutil.copytree(whole.path, tmp_path / "fresh", symlinks=True)))
    for name in ("models", "report", "mlruns"):
        shutil.rmtree(copy.path / name, ignore_errors=True)
    (copy.path / "mlflow.db").unlink()
    lock = yaml.safe_load((copy.path / "dvc.lock").read_text())
    lock["stages"] = {name: stage for name, stage in lock["stages"].items() if "train@" not in name}
    (copy.path / "dvc.lock").write_text(yaml.safe_dump(lock))
    # DVC would take the training from there
    shutil.rmtree(copy.path / ".dvc/cache/runs", ignore_errors=True)
    return copy


def result(repository: Repository) -> dict[str, Any]:
    """What a user goes away with, but for times and the numbers of runs."""
    report = repository.path / "report/mnist/evaluation/evaluation.json"
    evaluation = json.loads(report.read_text())
    evaluation.pop("seconds_per_1000")
    with (repository.path / "models/mnist/history.csv").open() as stream:
        epochs = list(csv.DictReader(stream))
    for epoch in epochs:
        epoch.pop("epoch_seconds")
    return {"evaluation": evaluation, "history": epochs}


def begin(repository: Repository, *, steps: int = 3) -> subprocess.Popen[str]:
    """Starts it, and waits until the training has saved itself so often."""
    process = subprocess.Popen(
        REPRO,
        cwd=repository.path,
        env=repository.env,
        stdout=-1,
        stderr=-2,
        text=True,
        start_new_session=True,
    )
    folder = repository.path / "build/checkpoints/mnist"
    deadline = time.monotonic() + 90
    while not any(int(path.stem[5:]) >= steps for path in folder.glob("step-*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def trained(repository: Repository) -> bool:
    """Whether DVC takes the training for done."""
    return "train@mnist" in yaml.safe_load((repository.path / "dvc.lock").read_text())["stages"]


@pytest.mark.fault(6)
def test_told_to_stop_it_is_not_done_and_goes_on_to_the_same_end(
    whole: Repository, fresh: Repository
) -> None:
    for number, steps in ((signal.SIGTERM, 3), (signal.SIGINT, 60)):
        process = begin(fresh, steps=steps)
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode != 0, printed
        assert not trained(fresh)
        assert fresh.sql("select status from runs") == [("KILLED",)]
    assert "resuming from epoch" in fresh.run(*REPRO)
    assert fresh.sql("select status from runs") == [("FINISHED",)]
    assert result(fresh) == result(whole)


@pytest.mark.fault(8)
def test_killed_with_9_and_all_its_children_it_goes_on_to_the_same_end(
    whole: Repository, fresh: Repository
) -> None:
    process = begin(fresh)
    top = psutil.Process(process.pid)
    for each in [*top.children(recursive=True), top]:
        each.kill()
    process.communicate()
    assert not trained(fresh)
    printed = fresh.run(*REPRO)
    assert printed.splitlines()[0] == f"{RWLOCK} names processes that are gone: deleted"
    assert "resuming from epoch" in printed
    assert fresh.sql("select status from runs") == [("FINISHED",)]
    assert result(fresh) == result(whole)


def test_a_training_that_loses_its_dvc_ends_itself(fresh: Repository) -> None:
    process = begin(fresh)
    children = psutil.Process(process.pid).children(recursive=True)
    stage = [each for each in children if "pipelines/train.py" in each.cmdline()]
    dvc = [
        each for each in children if any(Path(word).name == "dvc" for word in each.cmdline()[:2])
    ]
    assert stage
    assert dvc
    for each in (psutil.Process(process.pid), *dvc):
        each.kill()
    process.communicate()
    assert not psutil.wait_procs(stage, timeout=20)[1]
    assert fresh.sql("select status from runs") == [("KILLED",)]
    assert not (fresh.path / "models/mnist").exists()


@pytest.mark.fault(8)
def test_a_lock_file_that_a_kill_left_empty_is_mended_in_a_line(whole: Repository) -> None:
    (whole.path / RWLOCK).write_text("")
    printed = whole.run(*REPRO)
    assert (
        printed.splitlines()[0]
        == f"{RWLOCK} was left half-written by a run that was killed: deleted"
    )


def test_dvc_by_itself_would_have_failed_on_it(whole: Repository) -> None:
    (whole.path / RWLOCK).write_text("")
    lock = whole.path / "dvc.lock"
    kept = lock.read_text()
    lock.write_text("schema: '2.0'\nstages: {}\n")  # so that there is something to do
    try:
        assert "JSON structure is corrupted" in whole.run("dvc", "repro", code=255)
    finally:
        lock.write_text(kept)
        (whole.path / RWLOCK).unlink()


@pytest.mark.fault(9)
def test_of_two_at_once_the_second_says_who_is_first(whole: Repository, fresh: Repository) -> None:
    process = begin(fresh)
    printed = fresh.run(*REPRO, code=3)
    assert printed.startswith("goodfit: another run (PID ")
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert result(fresh) == result(whole)


@pytest.mark.fault(12)
def test_a_full_disk_leaves_the_checkpoint_before_whole(fresh: Repository, tmp_path: Path) -> None:
    disk = fresh.path / "build/checkpoints"
    disk.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk wants the right to mount one")
    process = begin(fresh)
    try:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(os.urandom(4096))
        printed, _ = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "no room for the checkpoint build/checkpoints/mnist/" in printed
        assert "Traceback" not in printed
        assert not trained(fresh)
        filler.unlink()
        assert not list((disk / "mnist").glob(".*.part"))
        assert "resuming from epoch" in fresh.run(*REPRO)
    finally:
        process.kill()
        process.communicate()
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.fault(70)
def test_without_an_active_environment_dvc_and_its_stages_are_those_of_this_python(
    tmp_path: Path,
) -> None:
    made = make(tmp_path)
    made.edit("params.yaml", overrides={"breast_cancer": ["modle.width=3"]})
    made.env["PATH"] = "/usr/bin:/bin"
    for options in ([], ["--pull"]):
        said = made.run(*REPRO, "breast_cancer", *options, code=255)
        assert "unknown key 'modle'. Did you mean 'model'?" in said

"""Two clones that share one MLflow, on one machine, run the same command at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest
import repository
from repository import Repository

pytestmark = [pytest.mark.slow, pytest.mark.fault(35)]
CONFIG = "build/breast_cancer.json"


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> list[Repository]:
    """Both have the data, and one model that is not registered yet."""
    folder = tmp_path_factory.mktemp("clones")
    first = repository.make(folder / "first")
    first.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'shared.db'}"
    first.run("python", "pipelines/compose.py", "breast_cancer")
    for stage in ("fetch", "prepare", "train", "evaluate", "report"):
        first.run("python", f"pipelines/{stage}.py", CONFIG)

    shutil.copytree(first.path, folder / "second")
    second = Repository(folder / "second")
    second.env["MLFLOW_TRACKING_URI"] = first.env["MLFLOW_TRACKING_URI"]
    return [first, second]


def begin(clone: Repository, stage: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["python", f"pipelines/{stage}.py", CONFIG],
        cwd=clone.path,
        env=clone.env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_one_model_is_one_version_and_the_champion(clones: list[Repository]) -> None:
    for process in [begin(clone, "register") for clone in clones]:
        said, _ = process.communicate()
        assert process.returncode == 0, said
        assert "registered breast_cancer version 1: " in said.splitlines()[-1]


def test_one_trains_and_the_other_is_refused(clones: list[Repository]) -> None:
    """However far apart they start: the first trains until the second has ended."""
    for clone in clones:
        composed = json.loads((clone.path / CONFIG).read_text())
        composed["trainer"]["max_epochs"] = 100_000
        composed["early_stopping"]["patience"] = None
        (clone.path / CONFIG).write_text(json.dumps(composed))
    started = [begin(clone, "train") for clone in clones]
    try:
        deadline = time.monotonic() + 120
        while all(process.poll() is None for process in started):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        refused, trains = sorted(started, key=lambda process: process.poll() is None)
        told, _ = refused.communicate()
        assert refused.returncode == 2, told
        assert told.splitlines()[-1].startswith("goodfit: the same training is running as ")
        trains.terminate()
        said, _ = trains.communicate(timeout=60)
        assert trains.returncode == 143, said
    finally:
        for process in started:
            process.kill()
            process.wait()

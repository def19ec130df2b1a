"""Two clones that share one MLflow, on one machine, run the same command at once."""

from __future__ import annotations

import shutil
import subprocess

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


def both(clones: list[Repository], stage: str) -> list[tuple[int, str]]:
    """Code and last line of each of two that start together."""
    started = []
    for clone in clones:
        command = ["python", f"pipelines/{stage}.py", CONFIG]
        started.append(
            subprocess.Popen(
                command,
                cwd=clone.path,
                env=clone.env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
    ends = []
    for process in started:
        said, _ = process.communicate()
        ends.append((process.returncode, said.splitlines()[-1]))
    return sorted(ends)


def test_one_model_is_one_version_and_the_champion(clones: list[Repository]) -> None:
    ends = both(clones, "register")
    assert [code for code, _ in ends] == [0, 0], ends
    assert all("registered breast_cancer version 1: " in line for _, line in ends), ends


def test_one_trains_and_the_other_is_refused(clones: list[Repository]) -> None:
    (one, _), (other, told) = both(clones, "train")
    assert (one, other) == (0, 2), told
    assert told.startswith("goodfit: the same training is running as ")

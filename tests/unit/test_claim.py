"""Of two processes that do the same at once, the second is told who does it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import repository
from repository import Repository

from goodfit.system.claim import claim, holder
from goodfit.system.processes import identity

pytestmark = pytest.mark.fault(35)
CLAIM = """
import os, sys, time
from pathlib import Path
from goodfit.system.claim import claim
with claim(Path(sys.argv[1])) as other:
    child = os.fork()
    if child:
        print(other, child, flush=True)
    time.sleep(60)
"""


@contextmanager
def claimed_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process has claimed `path`, and has forked a child, which outlives it."""
    command = [sys.executable, "-c", CLAIM, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        other, child = process.stdout.readline().split()
        assert other == "None"
        try:
            yield process
        finally:
            process.kill()
            os.kill(int(child), 9)


def test_the_second_is_told_who_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "x.lock"
    with claimed_elsewhere(path) as other:
        with claim(path) as process:
            assert process == identity(other.pid)
        other.kill()
        other.wait()
        with claim(path) as process:  # though its child lives
            assert process is None
    assert path.read_text() == identity()


def test_a_process_that_has_not_yet_written_who_it_is_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    writer = f"import time; time.sleep(0.3); open({str(path)!r}, 'w').write('me')"
    path.touch()
    with subprocess.Popen([sys.executable, "-c", writer]), path.open() as lock:
        assert holder(lock) == "me"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = repository.make(tmp_path_factory.mktemp("repository"))
    made.run("python", "pipelines/compose.py", "breast_cancer")
    made.run("python", "pipelines/fetch.py", "build/breast_cancer.json")
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "argument"),
    [
        ("compose", "breast_cancer"),
        ("fetch", "build/breast_cancer.json"),
        ("prepare", "build/breast_cancer.json"),
        ("prepare", "experiment=breast_cancer"),
    ],
)
def test_a_stage_that_another_process_runs_is_refused(
    repo: Repository, stage: str, argument: str
) -> None:
    lock = repo.path / f"build/locks/{stage}-breast_cancer.lock"
    with claimed_elsewhere(lock) as other:
        process = identity(other.pid)
        said = repo.run("python", f"pipelines/{stage}.py", argument, code=2)
    assert said.splitlines() == [
        f"goodfit: {stage} of breast_cancer is being run by process {process}; "
        "wait for it, or stop it"
    ]


@pytest.mark.slow
def test_two_that_start_together_prepare_what_one_prepares(repo: Repository) -> None:
    """Both deleted the other's half-written files, and neither made any."""
    command = ["python", "pipelines/prepare.py", "build/breast_cancer.json"]
    repo.run(*command)
    manifest = repo.path / "data/prepared/breast_cancer/manifest.json"
    expected = manifest.read_text()
    manifest.unlink()
    both = [
        subprocess.Popen(command, cwd=repo.path, env=repo.env, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    assert 0 in [process.returncode for process in both]
    for process, text in zip(both, said, strict=True):
        assert (process.returncode, text.count("\n")) in [(0, 0), (2, 1)]
    assert manifest.read_text() == expected

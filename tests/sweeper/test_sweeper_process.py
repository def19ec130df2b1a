"""The plugin imports nothing of goodfit, and knows its processes, cores and GPUs, on macOS too."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import sweeping
from omegaconf import DictConfig
from optuna.trial import TrialState
from sweeping import Sweep

import hydra_plugins.hydra_optuna_sweeper as plugin
from hydra_plugins.hydra_optuna_sweeper import _process

FILES = sorted(Path(plugin.__path__[0]).glob("**/*.py"))


def imported(path: Path) -> set[str]:
    """The packages that a file imports anywhere, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_plugin_imports_nothing_of_goodfit(path: Path) -> None:
    assert "goodfit" not in imported(path)


def test_a_process_is_gone_when_it_has_ended_and_not_before() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = f"{socket.gethostname()}:{process.pid}@{_process._birth(process.pid)}"
    assert not _process.is_gone(identity)

    process.kill()
    sweeping.until(
        lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "its death"
    )
    assert _process.is_gone(identity)  # though nobody has reaped it

    process.communicate()
    assert _process.is_gone(identity)


def test_a_process_that_took_the_pid_of_another_is_another() -> None:
    own = _process.identity()
    assert not _process.is_gone(own)
    assert _process.is_gone(f"{own}1")


@pytest.mark.parametrize("identity", ["", "another-host:1@1"])
def test_a_process_of_another_machine_is_not_gone(identity: str) -> None:
    assert not _process.is_gone(identity)


@pytest.mark.slow
def test_one_process_at_a_time_holds_a_file_lock(tmp_path: Path) -> None:
    path = tmp_path / "new/lock"
    source = (
        "import sys; from pathlib import Path\n"
        "from hydra_plugins.hydra_optuna_sweeper._process import file_lock\n"
        "with file_lock(Path(sys.argv[1])): print('locked')"
    )
    with _process.file_lock(path):
        command = [sys.executable, "-c", source, str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
    assert process.communicate(timeout=30) == ("locked\n", None)


@pytest.mark.parametrize(
    ("visible", "gpus"), [("0,1", ["0", "1"]), ("GPU-a", ["GPU-a"]), ("", []), ("-1", [])]
)
def test_the_environment_says_which_gpus_may_be_used(
    monkeypatch: pytest.MonkeyPatch, visible: str, gpus: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _process.usable_gpus() == gpus


def test_cores_that_this_process_may_not_use_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert _process.usable_cores() == 2


def threads(cfg: DictConfig) -> float:
    return float(os.environ["OMP_NUM_THREADS"])


@pytest.mark.slow
def test_workers_share_the_cores_of_a_system_without_affinity(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS; workers are forks, and inherit what is changed here."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = sweep(threads, "x=range(1,9)", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=2")
    assert done.states() == [TrialState.COMPLETE] * 2, done.err
    assert [trial.value for trial in done.trials] == [3.0] * 2

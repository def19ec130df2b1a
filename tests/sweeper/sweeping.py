"""What tests of the sweeper share: an app in a folder, a sweep of it, the study that it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import studies
import yaml
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

HEAD = """\
import os, signal, sys, time
import hydra
from omegaconf import DictConfig
from hydra_plugins.hydra_optuna_sweeper import trial as trials

@hydra.main(version_base=None, config_path=".", config_name="config")
def main(cfg: DictConfig) -> float:
"""
TAIL = "\nif __name__ == '__main__':\n    main()\n"
CONFIG = {
    "defaults": [
        "_self_",
        {"override hydra/sweeper": "optuna"},
        {"override hydra/sweeper/sampler": "random"},
    ],
    "hydra": {
        "job": {"chdir": False},
        "sweep": {"dir": "swept"},
        "sweeper": {
            "sampler": {"seed": 0},
            "study_name": "s",
            "storage": "sqlite:///s.db",
            "n_jobs": 1,
        },
    },
    "x": 1,
    "y": 1,
}


@dataclass(frozen=True)
class Done:
    """How a sweep ended and where."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def study(self) -> optuna.Study:
        """The study as another process finds it."""
        return load(self.folder)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self.study.get_trials()

    @property
    def results(self) -> Any:
        """The content of optimization_results.yaml."""
        return OmegaConf.load(self.folder / "swept/optimization_results.yaml")

    def states(self) -> list[TrialState]:
        """What became of each trial."""
        return [trial.state for trial in self.trials]


Sweep = Callable[..., Done]  # the fixture: a task function, overrides, changes of config.yaml


def load(folder: Path, name: str = "s", file: str = "s.db") -> optuna.Study:
    """The study in a folder's database."""
    return studies.load(folder / file, name)


def configure(folder: Path, **changes: Any) -> None:
    """Writes config.yaml: the common one, changed."""
    content = OmegaConf.to_container(OmegaConf.merge(CONFIG, changes))
    (folder / "config.yaml").write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    )


def app(folder: Path, body: str, **changes: Any) -> Path:
    """Writes app.py, whose job is `body`, and its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    (folder / "app.py").write_text(HEAD + lines + TAIL)
    configure(folder, **changes)
    return folder


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, changed; libraries keep to one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **changes}


def start(folder: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Starts `python app.py -m ...` as the head of a process group."""
    return subprocess.Popen(
        [sys.executable, "app.py", "-m", *arguments],
        cwd=folder,
        env=environment(**environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str], folder: Path, seconds: float = 60) -> Done:
    """Waits for a sweep's end."""
    out, err = process.communicate(timeout=seconds)
    return Done(process.returncode, out, err, folder)


def call(folder: Path, *arguments: str, **environ: str) -> Done:
    """Runs `python app.py -m ...` to its end."""
    return end(start(folder, *arguments, **environ), folder)


def until(true: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Waits until something holds, and gives it back."""
    deadline = time.monotonic() + seconds
    while True:
        result = true()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def lines(path: Path) -> list[str]:
    """The lines that jobs have written so far."""
    return path.read_text().splitlines() if path.exists() else []


def alive(group: int) -> bool:
    """Whether any process of a group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def kill(process: subprocess.Popen[str]) -> None:
    """Ends a sweep and all its workers at once, as a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

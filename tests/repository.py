"""A repository for tests that run the project's commands: its files, samples, a first commit."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import yaml

from goodfit.system.files import sha256

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests/samples"
EXPERIMENTS = {"breast_cancer": "breast_cancer.csv", "mnist": "mnist_5k.csv.gz"}
SOURCES = {"breast_cancer": "table", "mnist": "digits"}
FILES = (
    "conf",
    "pipelines",
    "src",
    ".dvc",
    "dvc.yaml",  # without its lock: nothing has run
    "gallery/dvc.yaml",
    "requirements.lock",
    ".dvcignore",
    ".gitignore",
)


class Repository:
    """A clone of this project's files with sample data; `run` returns what the command printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # how wide a terminal is decides what tables look like; a user's Python writes bytecode
        left_out = ("MLFLOW", "DVC", "COLUMNS", "PYTHONDONTWRITEBYTECODE")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
        self.env |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(path / "src"),
        }

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.path, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self) -> list[str]:
        """The stages that ran."""
        lines = self.run("dvc", "repro").splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage")]

    def edit(self, file: str, **values: object) -> None:
        path = self.path / file
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | values))

    def sql(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path / "mlflow.db")) as connection:
            return connection.execute(query).fetchall()


def moved_copy(whole: Repository, path: Path) -> Repository:
    """A copy of a repository in `path`, which knows that it is one."""
    copy = Repository(Path(shutil.copytree(whole.path, path, symlinks=True)))
    copy.run(sys.executable, "-m", "goodfit.tracking.places")
    return copy


def make(path: Path) -> Repository:
    """Copies the project's files to `path`, puts samples where fetch looks, and commits."""
    # with bytecode: the first command would compile 400 files, for 2 s
    skip = shutil.ignore_patterns("cache", "tmp", "*.egg-info", "config.local", "tuned")
    for name in FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, path / name, ignore=skip)
        else:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, path / name)
    made = Repository(path)
    (path / "data/inbox").mkdir(parents=True)
    (path / "conf/tuned").mkdir()  # a winner of this repository's data is none of the samples'
    shutil.copy(ROOT / "conf/tuned/README.md", path / "conf/tuned")
    overrides = {}
    for name, file in EXPERIMENTS.items():
        shutil.copy(SAMPLES / file, path / "data/inbox" / file)
        overrides[name] = [
            f"data.sources.{SOURCES[name]}.sha256={sha256(SAMPLES / file)}",
            "trainer.max_epochs=2",
            "early_stopping.patience=1",
            "evaluate.resamples=100",
        ]
    (path / "params.yaml").write_text(
        yaml.safe_dump({"experiments": list(EXPERIMENTS), "overrides": overrides})
    )
    for command in (
        "git init -q",
        "git add -A",
        "git -c user.name=a -c user.email=a@b.c commit -qm first",
    ):
        made.run(*command.split())
    return made

"""`dvc repro` with nothing to do, against as many stages that do nothing."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import made
from benchmarks.measure import Result, Unit, take_turns
from goodfit.stages.compose import write_composed

PROTOCOL = """\
no-op     `dvc repro` with nothing to do, in a copy of dvc.yaml whose outputs are empty files,
          against as many stages `echo` with an output each. Equal: both say that nothing changed.
"""
# no git, and no question to the network
_CONFIG = "[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n"


def nothing_to_do(root: Path, turns: int) -> Result:
    """Our stages, all done, against stages that only write a file."""
    ours, plain = Path("ours"), Path("plain")
    copy_repository(root, ours)
    names = yaml.safe_load((ours / "params.yaml").read_text())["experiments"]
    stages = yaml.safe_load((ours / "dvc.yaml").read_text())["stages"]
    with contextlib.chdir(ours):
        for name in names:
            write_composed(name)
            made.finished(stages, name)  # nothing trains here: DVC only compares hashes
    plain.mkdir()
    (plain / "dvc.yaml").write_text(yaml.safe_dump({"stages": _echoing(stages, names)}))

    for folder, done in ((ours, ["commit", "--force"]), (plain, ["repro"])):
        _dvc(folder, "init", "--no-scm")
        (folder / ".dvc/config").write_text(_CONFIG)
        _dvc(folder, *done)

    times = take_turns(turns, _repro(ours), _repro(plain))
    for turn, (our_turn, plain_turn) in enumerate(zip(*times, strict=True), 1):
        print(
            f"no-op {turn}/{turns}: {our_turn.wall:.1f} s and {plain_turn.wall:.1f} s", flush=True
        )
    title = f"no-op, {len(stages) * len(names)} stages"
    return Result(title, *times, 1.5, Unit("s", 1.0), "nothing ran")


def copy_repository(root: Path, folder: Path) -> None:
    """Copies to `folder` what DVC reads of a fresh clone at `root`, and what the stages compose."""
    shutil.copytree(root / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "conf", folder / "conf")
    (folder / "gallery").mkdir()
    # DVC parses every dvc.yaml of a repository with its lock, also where nobody asks for its stages
    for name in ("gallery/dvc.yaml", "gallery/dvc.lock"):
        shutil.copy(root / name, folder / name)
    for name in ("dvc.yaml", "params.yaml", "requirements.lock", ".dvcignore"):
        shutil.copy(root / name, folder / name)


def _echoing(stages: Iterable[str], names: Sequence[str]) -> dict[str, Any]:
    """As many stages, without dependencies."""
    trivial = {}
    for stage in stages:
        out = f"{stage}-${{item.experiment}}"
        matrix = {"experiment": names}
        trivial[stage] = {"matrix": matrix, "cmd": f"echo > {out}", "outs": [out]}
    return trivial


def _repro(folder: Path) -> Callable[[], None]:
    def repro() -> None:
        printed = _dvc(folder, "repro")
        assert "up to date" in printed, f"{folder}: {printed}"

    return repro


def _dvc(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

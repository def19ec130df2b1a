"""`make repro` is killed at random moments, and ends as if nobody had disturbed it.

Run by `make chaos`, which prints the seed: CHAOS_SEED repeats the moments, CHAOS_KILLS says how
many.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from repository import Repository
from test_repro import REPRO, arranged, result

pytestmark = pytest.mark.chaos
KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", secrets.randbelow(10**6)))
WAYS = {
    "the whole family, as by a power cut": 0.4,
    "make's process alone": 0.2,
    "dvc alone": 0.15,
    "SIGTERM": 0.15,
    "SIGINT": 0.1,
}


def strike(process: subprocess.Popen[bytes], way: str) -> None:
    """Ends what runs in one of the ways; returns when nothing of it is left."""
    top = psutil.Process(process.pid)
    family = [top, *top.children(recursive=True)]
    if way == "dvc alone":
        targets = [each for each in family if is_dvc(each)]
    elif way.startswith("the whole"):
        targets = family
    else:
        targets = [top]
    number = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}.get(way, signal.SIGKILL)
    for each in targets:
        each.send_signal(number)
    process.wait(120)
    _, alive = psutil.wait_procs(family, timeout=120)
    assert not alive, [each.cmdline() for each in alive]


def is_dvc(process: psutil.Process) -> bool:
    return any(Path(word).name == "dvc" for word in process.cmdline()[:2])


def test_random_kills_change_nothing_in_the_end(tmp_path: Path) -> None:
    dice = random.Random(SEED)  # noqa: S311 - not for secrets
    print(f"\nCHAOS_SEED={SEED} CHAOS_KILLS={KILLS}", flush=True)
    whole, struck = arranged(tmp_path / "whole"), arranged(tmp_path / "struck")
    began = time.monotonic()
    whole.run(*REPRO)
    length = time.monotonic() - began
    kills = 0
    while kills < KILLS:
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                REPRO,
                cwd=struck.path,
                env=struck.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        moment = dice.uniform(0.5, length)
        way = dice.choices(list(WAYS), list(WAYS.values()))[0]
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            strike(process, way)
            kills += 1
            print(f"kill {kills}/{KILLS} after {moment:.1f} s: {way}", flush=True)
            continue
        assert process.returncode == 0, (tmp_path / "log").read_text()[-3000:]
        # it was quicker than the kill: all but the raw data goes, and the next round begins
        start_over(struck)
    struck.run(*REPRO)
    assert result(struck) == result(whole)
    assert not [row for row in struck.sql("select status from runs") if row[0] == "RUNNING"]
    assert "Data and pipelines are up to date" in struck.run(*REPRO)


def start_over(repository: Repository) -> None:
    """As before the first run."""
    for name in ("models", "report", "mlruns", "build", "data/prepared", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(repository.path / name, ignore_errors=True)
    for name in ("mlflow.db", "dvc.lock"):
        (repository.path / name).unlink(missing_ok=True)

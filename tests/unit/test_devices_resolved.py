"""What a training runs on is decided by what the machine has, and said."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError
from goodfit.launch import devices
from goodfit.system import hardware


def trainer(**values: Any) -> DictConfig:
    plain = {"accelerator": "auto", "devices": "auto", "num_nodes": 1, "precision": "32-true"}
    return OmegaConf.create({"trainer": plain | values})


@pytest.mark.parametrize(
    ("gpus", "asked", "said"),
    [
        ("", {}, "one CPU, 32-true"),
        ("0", {}, "one GPU, 32-true"),
        ("0,1,2", {"precision": "bf16-mixed"}, "3 GPUs, bf16-mixed"),
        ("0,1", {"accelerator": "cpu"}, "one CPU, 32-true"),
        ("", {"devices": 24}, "24 processes on 6 cores, 32-true"),
        ("0,1", {"num_nodes": 4}, "2 GPUs on each of 4 machines, 32-true"),
    ],
)
def test_a_training_says_what_it_runs_on(
    monkeypatch: pytest.MonkeyPatch, gpus: str, asked: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(devices, "cores", lambda: list(range(6)))
    assert devices.describe(devices.resolved(trainer(**asked))) == said


@pytest.mark.parametrize(
    ("gpus", "count", "here"),
    [
        ("", "auto", "no GPU is"),
        ("", 2, "no GPU is"),
        ("0", 2, "one GPU is"),
        ("0,1", 3, "2 GPUs are"),
    ],
)
def test_gpus_that_are_not_here_are_refused(
    monkeypatch: pytest.MonkeyPatch, gpus: str, count: Any, here: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    with pytest.raises(UserError, match=f"trainer.devices={count} on GPUs, but {here} here"):
        devices.resolved(trainer(accelerator="gpu", devices=count))


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores"
)
@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_ranks_divide_the_cores_among_them(count: int) -> None:
    code = "import os; from goodfit.launch import devices; devices.pin_to_cores(); print(*os.sched_getaffinity(0))"
    shares = []
    for rank in range(min(count, 3)):
        place = {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | place,
            capture_output=True,
            text=True,
            check=True,
        )
        shares.append([int(core) for core in done.stdout.split()])
    if count > len(hardware.cores()):
        assert shares == [hardware.cores()] * len(shares)
    else:
        assert sorted(core for share in shares for core in share) == hardware.cores()
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.skipif(
    len(hardware.cores()) < 2 or not hasattr(os, "sched_setaffinity"), reason="needs two cores"
)
def test_who_brings_the_answers_of_other_ranks_may_go_to_any_core() -> None:
    code = """
import os
import torch
from goodfit.launch import worker
before = set(os.listdir("/proc/self/task"))
worker._join_on_cpu()
new = [os.sched_getaffinity(int(thread)) for thread in set(os.listdir("/proc/self/task")) - before]
print(len(os.sched_getaffinity(0)), *{len(each) for each in new})
"""
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    place = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | alone | place,
        capture_output=True,
        text=True,
        check=True,
    )
    count = len(hardware.cores())
    assert done.stdout.split() == [str(count // 2), str(count)]

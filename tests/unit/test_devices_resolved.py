"""What a training runs on is decided by what the machine has, and printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError
from goodfit.launch import devices
from goodfit.launch.fit import fit
from goodfit.system import hardware


def trainer(**values: Any) -> DictConfig:
    default = {"accelerator": "auto", "devices": "auto", "num_nodes": 1, "precision": "32-true"}
    return OmegaConf.create({"trainer": default | values})


@pytest.mark.parametrize(
    ("gpus", "asked", "line"),
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
    monkeypatch: pytest.MonkeyPatch, gpus: str, asked: dict[str, Any], line: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(devices, "cores", lambda: list(range(6)))
    assert devices.describe(devices.resolved(trainer(**asked))) == line


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


@pytest.mark.parametrize(
    ("asked", "unseen", "hinted"),
    [
        ("auto", ["AMD GPU (ROCm)"], True),
        ("auto", [], False),
        ("cpu", ["AMD GPU (ROCm)"], False),
    ],
)
def test_an_accelerator_that_auto_does_not_look_for_is_named(
    monkeypatch: pytest.MonkeyPatch, asked: str, unseen: list[str], hinted: bool
) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    monkeypatch.setattr(devices, "unseen_accelerators", lambda: unseen)
    cfg = trainer(accelerator=asked)
    hint = devices.unseen_accelerator_hint(cfg, devices.resolved(cfg))
    line = (
        "an AMD GPU (ROCm) is here, which trainer.accelerator=auto does not look for; "
        "CUDA_VISIBLE_DEVICES=0 before the command uses it"
    )
    assert hint == (line if hinted else None)


def test_where_auto_takes_a_gpu_no_other_accelerator_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ["0"])
    monkeypatch.setattr(devices, "unseen_accelerators", lambda: ["AMD GPU (ROCm)"])
    assert devices.unseen_accelerator_hint(trainer(), devices.resolved(trainer())) is None


def test_a_refused_gpu_that_is_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    monkeypatch.setattr(devices, "unseen_accelerators", lambda: ["NVIDIA GPU (WSL2)"])
    with pytest.raises(UserError, match=r"no GPU is here.*\nan NVIDIA GPU \(WSL2\) is here, which"):
        devices.resolved(trainer(accelerator="gpu"))


def cores_of_rank(rank: int, count: int) -> list[int]:
    """The cores that a rank of `count` on this machine has after it was pinned."""
    code = (
        "import os; from goodfit.launch import devices; "
        "devices.pin_to_cores(); print(*os.sched_getaffinity(0))"
    )
    rank_variables = {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | rank_variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(core) for core in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores"
)
@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_ranks_divide_the_cores_among_them(count: int) -> None:
    shares = [cores_of_rank(rank, count) for rank in range(min(count, 3))]
    if count > len(hardware.cores()):
        assert shares == [hardware.cores()] * len(shares)
    else:
        assert sorted(core for share in shares for core in share) == hardware.cores()
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.slow
@pytest.mark.skipif(
    len(hardware.cores()) < 2 or not hasattr(os, "sched_setaffinity"), reason="needs two cores"
)
def test_threads_that_receive_from_other_ranks_may_go_to_any_core() -> None:
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
    local = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | alone | local,
        capture_output=True,
        text=True,
        check=True,
    )
    count = len(hardware.cores())
    assert done.stdout.split() == [str(count // 2), str(count)]


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("accelerator", "precision", "lacks", "said"),
    [
        ("cpu", "bf16-mixed", True, True),
        ("cpu", "bf16-true", True, True),
        ("cpu", "bf16-mixed", False, False),
        ("cpu", "32-true", True, False),
        ("gpu", "bf16-mixed", True, False),
    ],
)
def test_a_precision_that_is_slow_here_is_said(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, precision: str, lacks: bool, said: bool
) -> None:
    monkeypatch.setattr(devices, "cpu_lacks_bf16", lambda: lacks)
    cfg = trainer(accelerator=accelerator, precision=precision)
    hint = devices.slow_precision_hint(cfg)
    assert (hint is not None) is said
    if hint:
        assert hint.startswith(f"trainer.precision={precision} is many times slower than 32-true")


@pytest.mark.fault(39)
def test_it_is_said_before_training(
    home: Callable[..., DictConfig],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(devices, "cpu_lacks_bf16", lambda: True)
    fit(home(trainer={"precision": "bf16-mixed", "max_epochs": 1}), out=Path("model"))
    said = capfd.readouterr().out
    assert said.index("trainer.precision=bf16-mixed is many times slower") < said.index("epoch ")

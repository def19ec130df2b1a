"""Two processes train as one does: the same loss curve at the same global batch, and the same ends."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import tiny
import torch
from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import NonFiniteLossError
from goodfit.launch.fit import fit
from goodfit.system.files import read_json
from goodfit.tracking import database, runs
from goodfit.training.checkpoint_files import read_note, step_checkpoints, verified

pytestmark = pytest.mark.slow
Home = Callable[..., DictConfig]


def calm(home: Home, **changes: object) -> DictConfig:
    return tiny.calm(home(trainer={"max_epochs": 3, **changes.pop("trainer", {})}, **changes))  # type: ignore[dict-item]


def curve(model: str, *keys: str) -> list[float]:
    with Path(model, "history.csv").open() as stream:
        return [float(row[key]) for row in csv.DictReader(stream) for key in keys]


def plant(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What each process does at its start, before its own first line."""
    Path("planted").mkdir()
    Path("planted/sitecustomize.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(Path("planted").resolve()))


KEYS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "val/auroc")


def test_two_processes_have_the_loss_curve_of_one(home: Home) -> None:
    fit(calm(home), out=Path("one"))
    fit(calm(home, trainer={"devices": 2, "strategy": "ddp"}), out=Path("two"))
    assert curve("two", *KEYS) == pytest.approx(curve("one", *KEYS), abs=2e-5)


def images(home: Home, prepared: Callable[[str], Path]) -> Callable[..., DictConfig]:
    """A CNN with BatchNorm on samples that two processes cannot share evenly."""
    uri = home().tracking.uri
    shutil.rmtree("data/prepared/tiny")
    shutil.copytree(prepared("mnist"), "data/prepared/tiny")

    def make(**trainer: object) -> DictConfig:
        size = len(np.load("data/prepared/tiny/train/target.npy"))
        batch = next(size_ for size_ in range(13, 40, 2) if size % size_ >= 9 and size % size_ % 2)
        steep = {
            "optimizer": tiny.section("optimizer", "sgd") | {"lr": 0.02}
        }  # Adam makes much of the last digits
        cfg = tiny.cfg(
            "mnist",
            model="cnn",
            tracking={"uri": uri},
            trainer=trainer,
            loader={"batch_size": batch},
        )
        return tiny.calm(OmegaConf.merge(cfg, steep))

    return make


def test_batch_normalization_is_over_the_whole_batch(
    home: Home, prepared: Callable[[str], Path]
) -> None:
    make = images(home, prepared)
    fit(make(), out=Path("one"))
    fit(make(devices=2, strategy="ddp"), out=Path("two"))
    assert curve("two", "train/loss", "val/loss") == pytest.approx(
        curve("one", "train/loss", "val/loss"), rel=3e-4
    )
    one, two = (torch.load(f"{name}/weights.pt", weights_only=True) for name in ("one", "two"))
    names = [name for name in one if "running_" in name]
    assert names
    for name in names:
        assert torch.allclose(one[name], two[name], rtol=1e-3, atol=1e-4), name


def test_without_normalization_over_all_devices_the_curves_part(
    home: Home, prepared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: each process on its own gives another loss."""
    make = images(home, prepared)
    fit(make(), out=Path("one"))
    lines = [
        "import goodfit.training.loop",
        "goodfit.training.loop.synchronize_batchnorm = lambda module, cuda: None",
    ]
    plant(lines, monkeypatch)
    fit(make(devices=2, strategy="ddp"), out=Path("two"))
    assert curve("two", "train/loss") != pytest.approx(curve("one", "train/loss"), rel=3e-3)


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores"
)
def test_each_of_two_processes_computes_on_cores_of_its_own(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["import atexit, os", "def read_note():"]
    lines += ["    open('cores-' + os.environ['RANK'], 'w').write(repr(os.sched_getaffinity(0)))"]
    lines += ["if 'RANK' in os.environ:", "    atexit.register(note)"]
    plant(lines, monkeypatch)
    fit(calm(home, trainer={"devices": 2, "strategy": "ddp"}))
    first, second = (ast.literal_eval(Path(f"cores-{rank}").read_text()) for rank in range(2))
    assert first | second == os.sched_getaffinity(0)
    assert not first & second


@pytest.mark.parametrize("devices", [1, 2])
def test_accumulation_equals_the_large_batch(home: Home, devices: int) -> None:
    fit(calm(home), out=Path("one"))
    strategy = "ddp" if devices > 1 else "auto"
    trainer = {"devices": devices, "strategy": strategy, "accumulate_grad_batches": 3}
    fit(calm(home, trainer=trainer), out=Path("many"))
    assert curve("many", *KEYS) == pytest.approx(curve("one", *KEYS), abs=2e-5)


def test_a_divided_network_trains_as_a_copied_one(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(calm(home, trainer={"devices": 2, "strategy": "ddp"}), out=Path("ddp"))
    fit(calm(home, trainer={"devices": 2, "strategy": "fsdp"}), out=Path("fsdp"))
    assert capfd.readouterr().err == ""  # no library warns
    assert curve("fsdp", *KEYS) == pytest.approx(curve("ddp", *KEYS), abs=2e-5)
    one, two = (torch.load(f"{name}/weights.pt", weights_only=True) for name in ("ddp", "fsdp"))
    assert {name: tuple(value.shape) for name, value in one.items()} == {
        name: tuple(value.shape) for name, value in two.items()
    }
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


def begin(home: Home, tmp_path: Path, **changes: object) -> subprocess.Popen[str]:
    """A long training on two processes, by the command that DVC runs, saved at each step; waits for
    its second save.
    """
    cfg = calm(home, trainer={"devices": 2, "strategy": "ddp", "max_epochs": 100_000}, **changes)
    cfg.early_stopping.patience, cfg.checkpoint.seconds = 99_999, 0
    for name in ("pipelines", "conf"):
        shutil.copytree(tiny.ROOT / name, tmp_path / name)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/tiny.json").write_text(tree.dump(OmegaConf.to_container(cfg)))  # type: ignore[arg-type]
    command = [sys.executable, "pipelines/train.py", "build/tiny.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "build/checkpoints/tiny").glob("step-*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """By rank."""
    found = [
        each
        for each in family(process)
        if "goodfit.launch.worker" in each.cmdline()
        and "goodfit.launch.elastic" not in each.cmdline()
    ]
    return sorted(found, key=lambda each: int(each.environ()["RANK"]))


def statuses(cfg: DictConfig) -> list[str]:
    client = database.connect(cfg.tracking.uri)
    found = client.get_experiment_by_name("tiny")
    assert found is not None
    return [run.info.status for run in client.search_runs([found.experiment_id])]


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    ("rank", "number"), [(0, signal.SIGKILL), (1, signal.SIGKILL), (1, signal.SIGSTOP)]
)
def test_a_lost_or_frozen_rank_ends_all_within_seconds_and_is_named(
    home: Home, tmp_path: Path, rank: int, number: signal.Signals
) -> None:
    process = begin(home, tmp_path)
    others = family(process)
    workers(process)[rank].send_signal(number)
    started = time.monotonic()
    _, said = process.communicate(timeout=40)
    assert time.monotonic() - started < 30
    assert (process.returncode, said.splitlines()[-1]) == (
        1,
        f"goodfit: rank {rank} was killed by SIGKILL; the same command goes on",
    )
    assert statuses(home())[0] in (
        runs.FAILED,
        runs.KILLED,
    )  # by the first rank, or by the launcher for it
    assert not psutil.wait_procs(others, timeout=5)[1]
    assert not (tmp_path / "models").exists()


@pytest.mark.fault(18)
def test_a_verdict_that_only_the_second_rank_has_seen_is_the_trainings(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        "import os",
        "if os.environ.get('RANK') == '1':",
        "    import torch, goodfit.model.mlp as at",
    ]
    lines += [
        "    good = at.MLP.forward",
        "    at.MLP.forward = lambda self, numbers: good(self, numbers) * torch.nan",
    ]
    plant(lines, monkeypatch)
    cfg = calm(home, trainer={"devices": 2, "strategy": "ddp"})
    with pytest.raises(NonFiniteLossError, match="non-finite loss"):
        fit(cfg)
    assert read_json(Path("build/checkpoints/tiny/training.json"))["ended"].startswith(
        "NonFiniteLossError: non-finite"
    )
    assert statuses(cfg) == [runs.FAILED]
    client = database.connect(cfg.tracking.uri)
    found = client.get_experiment_by_name("tiny")
    assert found
    [run] = client.search_runs([found.experiment_id])
    assert run.data.tags["goodfit.ended"].startswith("NonFiniteLossError: non-finite loss")
    assert not list(Path("build/launch").iterdir())


@pytest.mark.fault(6)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_all_with_a_checkpoint_and_its_code(
    home: Home, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = begin(home, tmp_path)
    others = family(process)
    process.send_signal(number)
    out, said = process.communicate(timeout=40)
    assert process.returncode == code, (out, said)
    assert said == f"goodfit: {number.name}: stopping after this step, with a checkpoint\n"
    assert statuses(home()) == [runs.KILLED]
    assert not psutil.wait_procs(others, timeout=5)[1]
    assert verified(step_checkpoints(tmp_path / "build/checkpoints/tiny")[0])


def test_workers_whose_launcher_is_killed_end_themselves(home: Home, tmp_path: Path) -> None:
    process = begin(home, tmp_path)
    others = family(process)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(others, timeout=30)
    assert not alive  # or reading to the end would wait for them
    assert (
        process.communicate()[1]
        == "goodfit: the process that began this training is gone: stopping\n"
    )
    assert verified(step_checkpoints(tmp_path / "build/checkpoints/tiny")[0])


@pytest.mark.fault(4)
def test_two_processes_go_on_bit_by_bit(home: Home, tmp_path: Path) -> None:
    def cfg() -> DictConfig:
        made = home(
            trainer={"devices": 2, "strategy": "ddp", "max_epochs": 60}, model={"dropout": 0.4}
        )
        made.early_stopping.patience, made.checkpoint.seconds = 99, 0
        return made

    fit(cfg(), out=Path("whole"))
    for name in ("pipelines", "conf"):
        shutil.copytree(tiny.ROOT / name, tmp_path / name)
    (tmp_path / "build/tiny.json").write_text(tree.dump(OmegaConf.to_container(cfg())))  # type: ignore[arg-type]
    command = [sys.executable, "pipelines/train.py", "build/tiny.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not any(
        read_note(path).get("epoch", 0) >= 3
        for path in step_checkpoints(Path("build/checkpoints/tiny"))
    ):
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait(40) == 143
    fit(cfg(), out=Path("model"))
    assert curve("model", *KEYS) == curve("whole", *KEYS)
    one, two = (torch.load(f"{name}/weights.pt", weights_only=True) for name in ("whole", "model"))
    assert all(torch.equal(one[name], two[name]) for name in one)

"""Two ranks train as one process does: the same loss curve at the same batch, and the same ends."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import tiny
import torch
from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import NonFiniteLossError
from goodfit.launch.fit import fit
from goodfit.system.files import read_json, sha256
from goodfit.tracking import database, runs
from goodfit.training.checkpoint_files import read_note, step_checkpoints, verified

if TYPE_CHECKING:
    from mlflow.entities import Run

pytestmark = pytest.mark.slow
Home = Callable[..., DictConfig]


def calm(
    home: Home, *, trainer: Mapping[str, object] | None = None, **changes: object
) -> DictConfig:
    return tiny.calm(home(trainer={"max_epochs": 3, **(trainer or {})}, **changes))


def curve(model: str, *keys: str) -> list[float]:
    with Path(model, "history.csv").open() as stream:
        return [float(row[key]) for row in csv.DictReader(stream) for key in keys]


def plant(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each process does at its start, before its own first line."""
    Path("planted").mkdir()
    Path("planted/sitecustomize.py").write_text(code)
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
        samples = len(np.load("data/prepared/tiny/train/target.npy"))
        uneven = [size for size in range(13, 40, 2) if samples % size >= 9 and samples % size % 2]
        # Adam makes much of the last digits
        steep = {"optimizer": tiny.section("optimizer", "sgd") | {"lr": 0.02}}
        cfg = tiny.cfg(
            "mnist",
            model="cnn",
            tracking={"uri": uri},
            trainer=trainer,
            loader={"batch_size": uneven[0]},
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
    plant(
        "import goodfit.training.loop\n"
        "goodfit.training.loop.synchronize_batchnorm = lambda module, cuda: None\n",
        monkeypatch,
    )
    fit(make(devices=2, strategy="ddp"), out=Path("two"))
    assert curve("two", "train/loss") != pytest.approx(curve("one", "train/loss"), rel=3e-3)


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores"
)
def test_each_of_two_processes_computes_on_cores_of_its_own(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(
        """
import atexit, os
def write_cores():
    open('cores-' + os.environ['RANK'], 'w').write(repr(os.sched_getaffinity(0)))
if 'RANK' in os.environ:
    atexit.register(write_cores)
""",
        monkeypatch,
    )
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


GROUPS = {
    "no_decay": "norms_and_biases",
    "groups": [{"names": "layers.3.*", "lr_factor": 0.3, "weight_decay": 0.2}],
    "freeze": ["layers.0.*"],
    "unfreeze_at": 1,
}


GRADUAL = {"train": "gradual", "layer_decay": 0.5}


@pytest.mark.parametrize(
    ("strategy", "parameters"), [("ddp", GROUPS), ("fsdp", GROUPS), ("ddp", GRADUAL)]
)
def test_two_processes_freeze_and_unfreeze_as_one_does(
    home: Home, strategy: str, parameters: dict[str, object]
) -> None:
    """DDP exchanges only gradients that it knew of when it wrapped the network."""
    fit(calm(home, parameters=parameters), out=Path("one"))
    trainer = {"devices": 2, "strategy": strategy}
    fit(calm(home, parameters=parameters, trainer=trainer), out=Path("two"))
    assert curve("two", *KEYS) == pytest.approx(curve("one", *KEYS), abs=2e-5)
    one, two = (torch.load(f"{name}/weights.pt", weights_only=True) for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_start_from_a_file_as_one_does(
    home: Home, strategy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(calm(home, seed=1), out=Path("before"))
    file = Path("before/weights.pt")
    section = {
        "source": {"mirrors": [str(file.resolve())], "sha256": sha256(file)},
        "fresh": ["layers.6.*"],
    }
    freeze = {"freeze": ["layers.0.*"]}
    trainer = {"devices": 2, "strategy": strategy}
    capfd.readouterr()
    fit(calm(home, pretrained=section, parameters=freeze, trainer=trainer), out=Path("two"))
    printed = capfd.readouterr().out
    assert (
        printed.count("fetched weights.pt from") == printed.count("starting from weights.pt") == 1
    )

    fit(calm(home, pretrained=section, parameters=freeze), out=Path("one"))
    assert curve("two", *KEYS) == pytest.approx(curve("one", *KEYS), abs=2e-5)
    before, after = (torch.load(path, weights_only=True) for path in (file, "two/weights.pt"))
    equal = [name for name, value in after.items() if torch.equal(value, before[name])]
    assert equal == ["layers.0.weight", "layers.0.bias"]


def begin(home: Home, tmp_path: Path, **changes: object) -> subprocess.Popen[str]:
    """A long training on two ranks, by the command that DVC runs, after its second checkpoint.

    Each step is saved.
    """
    cfg = calm(home, trainer={"devices": 2, "strategy": "ddp", "max_epochs": 100_000}, **changes)
    cfg.early_stopping.patience, cfg.checkpoint.seconds = None, 0
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
    ranks = []
    for child in family(process):
        command = child.cmdline()
        if "goodfit.launch.worker" in command and "goodfit.launch.elastic" not in command:
            ranks.append(child)
    return sorted(ranks, key=lambda child: int(child.environ()["RANK"]))


def mlflow_runs(cfg: DictConfig) -> list[Run]:
    client = database.connect(cfg.tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def statuses(cfg: DictConfig) -> list[str]:
    return [run.info.status for run in mlflow_runs(cfg)]


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
    _, errors = process.communicate(timeout=40)
    assert time.monotonic() - started < 30
    last = f"goodfit: rank {rank} was killed by SIGKILL; the same command goes on"
    assert (process.returncode, errors.splitlines()[-1]) == (1, last)
    # by rank 0, or by the launcher for it
    assert statuses(home())[0] in (runs.FAILED, runs.KILLED)
    assert not psutil.wait_procs(others, timeout=5)[1]
    assert not (tmp_path / "models").exists()


@pytest.mark.fault(18)
def test_a_verdict_that_only_the_second_rank_has_seen_is_the_trainings(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(
        """
import os
if os.environ.get('RANK') == '1':
    import torch
    from goodfit.model.mlp import MLP
    forward = MLP.forward
    MLP.forward = lambda self, numbers: forward(self, numbers) * torch.nan
""",
        monkeypatch,
    )
    cfg = calm(home, trainer={"devices": 2, "strategy": "ddp"})
    with pytest.raises(NonFiniteLossError, match="non-finite loss"):
        fit(cfg)
    assert read_json(Path("build/checkpoints/tiny/training.json"))["ended"].startswith(
        "NonFiniteLossError: non-finite"
    )
    assert statuses(cfg) == [runs.FAILED]
    [run] = mlflow_runs(cfg)
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
    output, errors = process.communicate(timeout=40)
    assert process.returncode == code, (output, errors)
    assert errors == f"goodfit: {number.name}: stopping after this step, with a checkpoint\n"
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
    _, errors = process.communicate()
    assert errors == "goodfit: the process that began this training is gone: stopping\n"
    assert verified(step_checkpoints(tmp_path / "build/checkpoints/tiny")[0])


def newest_epoch(folder: Path) -> int:
    """The epoch of the newest checkpoint, 0 before the first is written."""
    notes = [read_note(path) for path in step_checkpoints(folder)]
    return max((note.epoch for note in notes if note), default=0)


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    ("strategy", "parameters"), [("ddp", {}), ("ddp", GROUPS), ("fsdp", GROUPS)]
)
def test_two_processes_go_on_bit_by_bit(
    home: Home, tmp_path: Path, strategy: str, parameters: dict[str, object]
) -> None:
    def cfg() -> DictConfig:
        trainer = {"devices": 2, "strategy": strategy, "max_epochs": 20}
        changed = home(trainer=trainer, model={"dropout": 0.4}, parameters=parameters)
        changed.early_stopping.patience, changed.checkpoint.seconds = None, 0
        return changed

    fit(cfg(), out=Path("whole"))
    for name in ("pipelines", "conf"):
        shutil.copytree(tiny.ROOT / name, tmp_path / name)
    (tmp_path / "build/tiny.json").write_text(tree.dump(OmegaConf.to_container(cfg())))  # type: ignore[arg-type]
    command = [sys.executable, "pipelines/train.py", "build/tiny.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while newest_epoch(Path("build/checkpoints/tiny")) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait(40) == 143
    fit(cfg(), out=Path("model"))
    assert curve("model", *KEYS) == curve("whole", *KEYS)
    one, two = (torch.load(f"{name}/weights.pt", weights_only=True) for name in ("whole", "model"))
    assert all(torch.equal(one[name], two[name]) for name in one)

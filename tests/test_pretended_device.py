"""Training on a pretended device: where tensors must lie on any GPU, tested where there is none.

Speed, half precision and NCCL are for test_gpu.py.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pretend
import pytest
import pytorch_lightning as pl
import tiny
import torch
import torch.distributed as dist
import torch.nn.functional as F
from cutting import cut
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.trainer.connectors.accelerator_connector import _AcceleratorConnector
from torch import nn

from goodfit import build
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import DataSpec
from goodfit.errors import NonFiniteLossError
from goodfit.launch.fit import fit
from goodfit.store.arrays import Packed
from goodfit.task.base import Task
from goodfit.training import datamodule
from goodfit.training.batchnorm import synchronize_batchnorm
from goodfit.training.lightning_task import LightningTask

Prepared = Callable[[str], Path]
Make = Callable[..., DictConfig]
PLAIN = {"fused": False}  # torch has no fused step for the device that is pretended
MIXING = [name for name in tiny.names("augment") if tiny.augment_mixes(name)]
AUGMENTED = [
    (name, case)
    for name in tiny.names("augment")
    for case in tiny.cases()
    if tiny.augment_suits(name, case)
]


def start(model: str, case: str, folder: Path, device: torch.device) -> tuple[Task, Packed]:
    """A task and its train split, both on the device."""
    torch.manual_seed(0)
    cfg = tiny.calm(tiny.cfg(case, model=model, optimizer=PLAIN))
    task = build.task(cfg, DataSpec.read(folder / "spec.json"))
    return task.to(device), Packed(folder, "train").to(device)


def steps(task: Task, data: Packed, device: torch.device) -> list[float]:
    """Losses of three steps of the experiment's optimizer; each must lie on the device."""
    optimizer, module = task.optimizer(task.model), LightningTask(task)
    losses = []
    for step in range(3):
        batch = data.only(task.inputs).batch(torch.arange(16, device=device))
        loss = module.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.device == device
        losses.append(loss.item())
    return losses


def test_an_operation_on_arrays_of_both_devices_is_refused() -> None:
    with (
        pretend.Pretend(),
        pytest.raises(RuntimeError, match=r"add.*arrays of the CPU \[\(3,\)\] and of the device"),
    ):
        torch.ones(3, device=pretend.DEVICE) + torch.ones(3)


def test_reads_and_sends_are_counted() -> None:
    with pretend.Pretend() as seen:
        there = torch.ones(3).to(pretend.DEVICE)
        torch.ones(3, device=pretend.DEVICE)
        there.sum().item()
        there.cpu()
        there.copy_(torch.zeros(3))
    assert (seen.reads.total(), seen.sends.total()) == (2, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "case"), tiny.pairs())
def test_every_network_trains_where_its_data_lie(model: str, case: str, prepared: Prepared) -> None:
    here = torch.device("cpu")
    near = steps(*start(model, case, prepared(case), here), here)
    with pretend.Pretend():
        far = steps(*start(model, case, prepared(case), pretend.DEVICE), pretend.DEVICE)
    # attention has an algorithm of its own on a CPU; the other networks' losses are equal
    assert far == pytest.approx(near, rel=1e-5)


@pytest.mark.parametrize(("augment", "case"), AUGMENTED)
def test_every_augmentation_is_made_where_the_data_lie(
    augment: str, case: str, prepared: Prepared
) -> None:
    sections = {"augment": {augment: tiny.section("augment", augment)}}
    change = build.augment(OmegaConf.create(sections))
    data, rows = Packed(prepared(case), "train"), torch.arange(8)
    here = data.batch(rows)
    if augment in MIXING:  # as the task makes them before
        here = here._replace(targets={"target": F.one_hot(here.targets["target"]).float()})
    near = change(here, PerSampleRandom(rows, seed=0, epoch=0))
    with pretend.Pretend() as seen:
        moved, there = data.to(pretend.DEVICE), rows.to(pretend.DEVICE)
        batch = moved.batch(there)  # where samples differ in length, it asks for the longest
        targets = {name: target.to(pretend.DEVICE) for name, target in here.targets.items()}
        batch = batch._replace(targets=targets)
        seen.sends.clear()
        seen.reads.clear()
        far = change(batch, PerSampleRandom(there, seed=0, epoch=0))
        assert {array.device for array in far.inputs.values()} == {pretend.DEVICE}
        assert (seen.reads.total(), seen.sends.total()) == (0, 0)
        for name, array in far.inputs.items():
            assert torch.equal(array.cpu(), near.inputs[name])


@pytest.fixture
def make(
    home: Callable[..., DictConfig], prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> Make:
    """Configurations of a CNN on augmented images; accelerator "gpu" is the pretended device."""
    uri = home().tracking.uri
    shutil.rmtree("data/prepared/tiny")
    shutil.copytree(prepared("mnist"), "data/prepared/tiny")
    choose_strategy = _AcceleratorConnector._choose_strategy

    def choose(self: Any) -> Any:
        if self._accelerator_flag == pretend.NAME:
            return SingleDeviceStrategy(pretend.DEVICE)
        return choose_strategy(self)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(
        _AcceleratorConnector, "_choose_gpu_accelerator_backend", staticmethod(lambda: pretend.NAME)
    )
    monkeypatch.setattr(_AcceleratorConnector, "_choose_strategy", choose)
    monkeypatch.setattr(datamodule, "_free_bytes", lambda device: 10**9)

    def made(accelerator: str = "gpu", **changes: Any) -> DictConfig:
        trainer = {"accelerator": accelerator, "devices": 1}
        sections = {}
        for name in ("augment", "guard"):
            if name in changes:
                chosen = changes.pop(name)
                section = tiny.section(name, chosen)
                sections[name] = {chosen: section} if name == "augment" else section
        sections["optimizer"] = PLAIN
        cfg = tiny.cfg("mnist", model="cnn", tracking={"uri": uri}, trainer=trainer, **sections)
        return OmegaConf.merge(cfg, changes)  # type: ignore[return-value]

    return made


def curve(model: str) -> list[float]:
    """The losses on train and validation of each epoch."""
    with Path(model, "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [float(row[name]) for row in rows for name in ("train/loss", "val/loss")]


class Watch(pl.Callback):
    """Notes where batches, their arrays and weights lie, and each step's reads and sends."""

    def __init__(self, seen: pretend.Pretend) -> None:
        self.seen = seen
        self.steps: list[tuple[int, int]] = []
        self.batches: set[str] = set()
        self.arrays: set[str] = set()
        self.weights: set[str] = set()

    def on_train_batch_start(
        self, trainer: pl.Trainer, task: Any, batch: Any, batch_idx: int
    ) -> None:
        self.batches |= {
            array.device.type
            for array in (*batch.inputs.values(), *batch.targets.values(), batch.rows)
        }
        data = trainer.train_dataloader.data  # type: ignore[union-attr]
        self.arrays |= {
            array.device.type for array in (*data.inputs.values(), *data.targets.values())
        }
        self.weights |= {weight.device.type for weight in task.parameters()}
        self.before = (self.seen.reads.total(), self.seen.sends.total())

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        after = (self.seen.reads.total(), self.seen.sends.total())
        self.steps.append((after[0] - self.before[0], after[1] - self.before[1]))


@pytest.mark.slow
@pytest.mark.parametrize(("free", "arrays"), [(10**9, pretend.DEVICE.type), (0, "cpu")])
def test_a_training_on_a_device_is_that_of_the_cpu_bit_by_bit(
    make: Make, monkeypatch: pytest.MonkeyPatch, free: int, arrays: str
) -> None:
    """With data that live there, as with data that come from the host."""
    monkeypatch.setattr(datamodule, "_free_bytes", lambda device: free)
    near = fit(make("cpu", augment="affine", average=0.9), out=Path("near"))
    with pretend.Pretend() as seen:
        watch = Watch(seen)
        far = fit(make(augment="affine", average=0.9), out=Path("far"), callbacks=[watch])
    assert (watch.arrays, watch.batches, watch.weights) == (
        {arrays},
        {pretend.DEVICE.type},
        {pretend.DEVICE.type},
    )
    assert curve("far") == curve("near")
    assert far.score == near.score


@pytest.mark.slow
def test_a_step_waits_twice_and_sends_nothing(make: Make) -> None:
    """For the loss and for the norm of the gradient, which the guard looks at before the step."""
    with pretend.Pretend() as seen:
        watch = Watch(seen)
        fit(make(augment="affine"), out=Path("far"), callbacks=[watch])
    assert watch.steps == [(2, 0)] * len(watch.steps)
    assert watch.steps


@pytest.mark.slow
def test_a_training_on_a_device_goes_on_where_it_was_cut(make: Make) -> None:
    with pretend.Pretend():
        fit(make(augment="affine"), out=Path("whole"))
        cut(make(augment="affine"), 1, 1)
        fit(make(augment="affine"), out=Path("model"))
    assert curve("model") == curve("whole")


@pytest.mark.slow
@pytest.mark.parametrize("guard", tiny.names("guard"))
def test_every_guard_sees_a_broken_loss_on_a_device(
    make: Make, guard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Spoil(pl.Callback):
        def on_train_batch_start(
            self, trainer: pl.Trainer, task: Any, batch: Any, batch_idx: int
        ) -> None:
            if batch_idx == 1:
                batch.inputs["image"] = batch.inputs["image"] * float("nan")

    with pretend.Pretend():
        try:
            fit(make(guard=guard), out=Path("model"), callbacks=[Spoil()])
        except NonFiniteLossError as error:
            print(error)
    assert "non-finite loss (nan) at epoch 0 step 1; training samples [" in capsys.readouterr().out


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_batchnorm_over_all_devices_exchanges_what_lies_there() -> None:
    """NCCL takes no tensors of the CPU; neither does the pretended device."""
    images = torch.randn(4, 3, 5, 5)

    def normalized(network: nn.Module, device: torch.device) -> list[torch.Tensor]:
        network.to(device)
        output = network(images.to(device))
        output.exp().sum().backward()  # a sum of squares is fixed: its gradient is 0
        gradients = [weight.grad for weight in network.parameters()]
        arrays = (output, *gradients, *network.buffers())
        return [array.detach().cpu() for array in arrays if array is not None]

    plain = normalized(nn.Sequential(nn.BatchNorm2d(3)), torch.device("cpu"))
    network = nn.Sequential(nn.BatchNorm2d(3))
    synchronize_batchnorm(network, cuda=False)
    with pretend.Pretend():
        far = normalized(network, pretend.DEVICE)
    for synchronized, expected in zip(far, plain, strict=True):
        torch.testing.assert_close(synchronized, expected, rtol=1e-5, atol=1e-5)

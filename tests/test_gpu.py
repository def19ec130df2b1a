"""On a GPU: data that live there, the loss curve of the CPU, half precision, several GPUs."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import tiny
import torch
from batchnorms import compare_ranks_with_one
from cutting import cut
from omegaconf import DictConfig, OmegaConf

from goodfit.launch.fit import fit
from goodfit.store import loader
from goodfit.training import datamodule

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
Make = Callable[..., DictConfig]
KEYS = ("train/loss", "val/loss")


@pytest.fixture
def make(home: Callable[..., DictConfig], prepared: Callable[[str], Path]) -> Make:
    """Configurations of a CNN on augmented images, on one GPU, without dropout.

    The steps are small, for large ones make much of the last digits.
    """
    uri = home().tracking.uri
    shutil.rmtree("data/prepared/tiny")
    shutil.copytree(prepared("mnist"), "data/prepared/tiny")

    def made(**trainer: object) -> DictConfig:
        sections: dict[str, Any] = {
            "tracking": {"uri": uri},
            "trainer": {"accelerator": "gpu", "devices": 1, **trainer},
            "augment": {"affine": tiny.section("augment", "affine")},
        }
        optimizer = tiny.section("optimizer", "sgd") | {"lr": 0.002}
        cfg = OmegaConf.merge(tiny.cfg("mnist", model="cnn", **sections), {"optimizer": optimizer})
        assert isinstance(cfg, DictConfig)
        return tiny.calm(cfg)

    return made


def curve(model: str) -> list[float]:
    """The losses on train and validation of each epoch."""
    with Path(model, "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [float(row[key]) for row in rows for key in KEYS]


class Devices(pl.Callback):
    """Notes where each training batch lies as its step begins, and where its arrays lie."""

    def __init__(self) -> None:
        self.batches: set[str] = set()
        self.arrays: set[str] = set()

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


def test_a_gpu_has_the_loss_curve_of_the_cpu(make: Make) -> None:
    fit(make(accelerator="cpu"), out=Path("cpu"))
    fit(make(), out=Path("gpu"))
    assert curve("gpu") == pytest.approx(curve("cpu"), rel=2e-3)


def test_small_data_live_on_the_gpu(make: Make) -> None:
    seen = Devices()
    fit(make(), out=Path("gpu"), callbacks=[seen])
    assert (seen.arrays, seen.batches) == ({"cuda"}, {"cuda"})


def test_data_that_do_not_fit_come_from_the_host_and_give_the_same_curve(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(make(), out=Path("near"))
    monkeypatch.setattr(datamodule, "fits", lambda size, free: False)
    seen = Devices()
    fit(make(), out=Path("far"), callbacks=[seen])
    assert (seen.arrays, seen.batches) == ({"cpu"}, {"cuda"})
    assert curve("far") == curve("near")


def test_batches_from_the_host_start_from_pinned_memory(make: Make) -> None:
    data = datamodule.DataModule(Path("data/prepared/tiny"), batch_size=16, seed=0)
    batch = next(iter(loader.Batches(data.train, 16, epoch=lambda: 0, pin=True)))
    assert all(
        array.is_pinned() for array in (*batch.inputs.values(), *batch.targets.values(), batch.rows)
    )


def test_workers_give_the_same_curve(make: Make) -> None:
    fit(make(), out=Path("near"))
    cfg = make()
    cfg.loader.workers = 1
    fit(cfg, out=Path("far"))
    assert curve("far") == curve("near")


def test_half_precision_trains(make: Make) -> None:
    fit(make(), out=Path("whole"))
    fit(make(precision="bf16-mixed"), out=Path("half"))
    assert curve("half") == pytest.approx(curve("whole"), rel=0.05)
    assert curve("half") != curve("whole")


def test_a_training_on_a_gpu_goes_on_where_it_was_cut(make: Make) -> None:
    fit(make(), out=Path("whole"))
    cut(make(), 1, 1)
    fit(make(), out=Path("model"))
    assert curve("model") == pytest.approx(curve("whole"), rel=1e-6)


@pytest.mark.parametrize(
    "section",
    [
        {"sharpness": 0.5},
        {"augment": {"mixup": tiny.section("augment", "mixup")}},
        {"augment": {"cutmix": tiny.section("augment", "cutmix")}},
    ],
    ids=["sharpness", "mixup", "cutmix"],
)
def test_what_regularizes_does_the_same_on_a_gpu(make: Make, section: dict[str, Any]) -> None:
    sides = {}
    for accelerator in ("cpu", "gpu"):
        cfg = OmegaConf.merge(make(accelerator=accelerator), section)
        assert isinstance(cfg, DictConfig)
        fit(cfg, out=Path(accelerator))
        sides[accelerator] = curve(accelerator)
    fit(make(), out=Path("plain"))
    assert sides["gpu"] == pytest.approx(sides["cpu"], rel=2e-3)
    assert sides["gpu"] != pytest.approx(curve("plain"), rel=2e-3)


def test_a_probe_asks_its_network_once_on_a_gpu_too(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    for accelerator in ("cpu", "gpu"):
        cfg = make(accelerator=accelerator)
        cfg.model = tiny.section("model", "efficientnet")
        cfg.augment, cfg.parameters.train = {"none": tiny.section("augment", "none")}, "head"
        fit(tiny.calm(cfg), out=Path(accelerator))
        assert "samples were computed once" in capsys.readouterr().out
    assert curve("gpu") == pytest.approx(curve("cpu"), rel=5e-3)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_all_gpus_together_have_the_loss_curve_of_one(make: Make, strategy: str) -> None:
    fit(make(), out=Path("one"))
    fit(make(devices=torch.cuda.device_count(), strategy=strategy), out=Path("all"))
    assert curve("all") == pytest.approx(curve("one"), rel=2e-3)


def test_batchnorm_is_torchs_own_and_over_the_samples_of_both_ranks(tmp_path: Path) -> None:
    """Two ranks share one GPU over gloo: NCCL wants a GPU for each."""
    compare_ranks_with_one(tmp_path, cuda=True)

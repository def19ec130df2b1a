"""Augmentation makes new batches, for training alone, with targets of any type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit import build
from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.task.classification import Classification
from goodfit.training.datamodule import DataModule
from goodfit.training.lightning_task import LightningTask


class Soft(Augment):
    """Labels as probabilities, a tenth of them spread over all classes; inputs halved."""

    inputs = ("numbers",)

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        hard = F.one_hot(batch.targets["target"], 2).float()
        inputs = {"numbers": batch.inputs["numbers"] / 2}
        return batch._replace(inputs=inputs, targets={"target": 0.9 * hard + 0.05})


def seen(task: Classification, kept: dict[str, list[Tensor]]) -> Callable[..., Tensor]:
    """The task's loss, which keeps each target that it is given."""
    loss = task.loss

    def keeping(output: Tensor, target: Tensor) -> Tensor:
        kept["train" if task.training else "val"].append(target)
        return loss(output, target)

    return keeping


@pytest.fixture
def kept(
    prepared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[Tensor]]:
    """The targets that the loss of an epoch was given, by split."""
    cfg = tiny.cfg("breast_cancer")
    data = DataModule(prepared("breast_cancer"), batch_size=16, seed=0, augment=Soft())
    task = build.task(cfg, data.spec)
    targets: dict[str, list[Tensor]] = {"train": [], "val": []}
    monkeypatch.setattr(task, "loss", seen(task, targets))

    before = data.train.targets["target"].clone(), data.train.inputs["numbers"].clone()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(LightningTask(task), datamodule=data)
    assert 0 <= trainer.callback_metrics["train/accuracy"] <= 1
    assert torch.equal(data.train.targets["target"], before[0])
    assert torch.equal(data.train.inputs["numbers"], before[1])
    return targets


def test_soft_labels_reach_the_loss_of_training_as_they_are(kept: dict[str, list[Tensor]]) -> None:
    train = torch.cat(kept["train"])
    assert train.dtype == torch.float32
    assert set(train.flatten().tolist()) == {torch.tensor(0.95).item(), torch.tensor(0.05).item()}


def test_validation_sees_the_data_as_they_are(kept: dict[str, list[Tensor]]) -> None:
    validation = torch.cat(kept["val"])
    assert validation.dtype == torch.int64
    assert set(validation.tolist()) == {0, 1}

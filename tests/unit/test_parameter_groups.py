"""Every parameter is stepped as the rules say: by its name, and by what it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cutting
import pytest
import tiny
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.schedule.cosine import cosine
from goodfit.schema import ParameterRules
from goodfit.task.parameter_groups import make_optimizer, norms_and_biases, parameter_groups

Prepared = Callable[[str], Path]
Home = Callable[..., DictConfig]

DECAYED = {
    "mlp": {"layers.0.weight", "layers.3.weight", "layers.6.weight"},
    "cnn": {
        "features.0.weight",
        "features.3.weight",
        "features.7.weight",
        "features.10.weight",
        "features.14.weight",
        "head.weight",
    },
    "rnn": {
        "embed.weight",
        "encoder.weight_ih_l0",
        "encoder.weight_hh_l0",
        "start.weight",
        "context.weight",
        "decoder.weight_ih_l0",
        "decoder.weight_hh_l0",
        "decoder.weight_ih_l0_reverse",
        "decoder.weight_hh_l0_reverse",
        "head.0.weight",
        "head.3.weight",
    },
    "transformer": {
        "position",
        "wide.word.weight",
        "wide.pair.weight",
        "words.word.weight",
        "words.part.weight",
        "blocks.0.attend.weight",
        "blocks.0.project.weight",
        "blocks.0.think.0.weight",
        "blocks.0.think.3.weight",
        "head.weight",
    },
}
CASES = {
    "mlp": "breast_cancer",
    "cnn": "mnist",
    "rnn": "electricity",
    "transformer": "reviews",
}


def rules(**changes: Any) -> ParameterRules:
    plain = {"no_decay": "none", "groups": (), "freeze": (), "unfreeze_at": None}
    return ParameterRules(**(plain | changes))


def names_of(model: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    """The names of parameters, which are told apart by identity."""
    wanted = {id(parameter) for parameter in parameters}
    return {name for name, parameter in model.named_parameters() if id(parameter) in wanted}


class Net(nn.Module):
    """Two layers with a norm between them, all 1 but the biases, which are 2."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        self.head = nn.Linear(3, 1)
        for name, parameter in self.named_parameters():
            nn.init.constant_(parameter, 2.0 if name.endswith("bias") else 1.0)


@pytest.mark.parametrize("model", DECAYED)
def test_of_each_network_the_matrices_decay_by_default(model: str, prepared: Prepared) -> None:
    case = CASES[model]
    cfg = tiny.cfg(case, model=model)
    network = build.task(cfg, DataSpec.read(prepared(case) / "spec.json")).model
    groups = parameter_groups(network, build.parameter_rules(cfg))
    by_decay = {group.get("weight_decay"): names_of(network, group["params"]) for group in groups}
    everything = {name for name, _ in network.named_parameters()}
    assert by_decay == {None: DECAYED[model], 0.0: everything - DECAYED[model]}


def test_without_rules_all_parameters_are_one_group_in_their_order() -> None:
    net = Net()
    [group] = parameter_groups(net, rules())
    assert [id(one) for one in group["params"]] == [id(one) for one in net.parameters()]
    assert "weight_decay" not in group


def test_norms_and_biases_of_several_dimensions_do_not_decay_nor_what_has_one() -> None:
    net = nn.ModuleDict(
        {
            "norm": nn.LayerNorm([4, 5]),
            "attention": nn.MultiheadAttention(4, 1, add_bias_kv=True),
            "embedding": nn.Embedding(3, 4),
            "activation": nn.PReLU(4),
        }
    )
    assert set(norms_and_biases(net)) == {
        "norm.weight",
        "norm.bias",
        "attention.in_proj_bias",
        "attention.bias_k",
        "attention.bias_v",
        "attention.out_proj.bias",
        "activation.weight",
    }


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_a_step_without_gradient_takes_the_decay_from_weights_and_nothing_from_biases(
    optimizer: type[torch.optim.Optimizer],
) -> None:
    """p - lr * decay * p, in SGD as in AdamW, where nothing but the decay moves a weight."""
    net = Net()
    made = make_optimizer(
        net,
        optimizer=partial(optimizer, lr=0.5, weight_decay=0.25),
        rules=rules(no_decay="norms_and_biases"),
    )
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    values = {name: value.flatten()[0].item() for name, value in net.named_parameters()}
    assert values == {
        "backbone.0.weight": 1.0 - 0.5 * 0.25 * 1.0,
        "backbone.0.bias": 2.0,
        "backbone.1.weight": 1.0,
        "backbone.1.bias": 2.0,
        "head.weight": 1.0 - 0.5 * 0.25 * 1.0,
        "head.bias": 2.0,
    }


@pytest.mark.parametrize(("no_decay", "of_bias"), [("norms_and_biases", 0.0), ("none", 0.3)])
def test_a_groups_decay_is_that_of_its_weights(no_decay: str, of_bias: float) -> None:
    net = Net()
    group = {"names": "head.*", "weight_decay": 0.3}
    made = make_optimizer(
        net,
        optimizer=partial(torch.optim.SGD, lr=1.0, weight_decay=0.1),
        rules=rules(no_decay=no_decay, groups=[group]),
    )
    decay = {}
    for options in made.param_groups:
        decay |= dict.fromkeys(names_of(net, options["params"]), options["weight_decay"])
    assert (decay["head.weight"], decay["head.bias"]) == (0.3, of_bias)
    assert decay["backbone.0.weight"] == 0.1


def test_the_first_group_that_matches_counts() -> None:
    net = Net()
    groups = [{"names": "*.0.weight", "lr_factor": 0.5}, {"names": "backbone.*", "lr_factor": 0.1}]
    factors = {}
    for group in parameter_groups(net, rules(groups=groups)):
        factors |= dict.fromkeys(names_of(net, group["params"]), group["lr_factor"])
    assert factors == {
        "backbone.0.weight": 0.5,
        "backbone.0.bias": 0.1,
        "backbone.1.weight": 0.1,
        "backbone.1.bias": 0.1,
        "head.weight": 1.0,
        "head.bias": 1.0,
    }


def test_a_schedule_keeps_the_factor_of_each_group() -> None:
    """2 steps of warmup, then a cosine over 8: half of it is over after 4, an eighth after 1."""
    net = Net()
    made = make_optimizer(
        net,
        optimizer=partial(torch.optim.SGD, lr=0.2),
        rules=rules(groups=[{"names": "backbone.*", "lr_factor": 0.1}]),
    )
    schedule = cosine(made, total_steps=10, warmup=0.2)
    rates = []
    for _ in range(10):
        rates.append(sorted(group["lr"] for group in made.param_groups))
        made.step()
        schedule.step()
    assert rates[0] == rates[6] == pytest.approx([0.01, 0.1])
    assert rates[1] == pytest.approx([0.02, 0.2])
    eighth = 0.5 * (1 + math.cos(math.pi / 8))
    assert rates[3] == pytest.approx([0.02 * eighth, 0.2 * eighth])


@pytest.mark.slow
def test_the_rate_that_is_recorded_is_the_optimizers(home: Home) -> None:
    groups = [{"names": "layers.0.*", "lr_factor": 0.1}]
    fit(home(), out=Path("plain"))
    fit(home(parameters={"groups": groups}), out=Path("groups"))
    plain, grouped = (cutting.history(Path(name)) for name in ("plain", "groups"))
    rates = [float(row["lr"]) for row in plain]
    assert [float(row["lr"]) for row in grouped] == pytest.approx(rates)
    assert [row["train/loss"] for row in grouped] != [row["train/loss"] for row in plain]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"groups": [{"names": "layer.*", "lr_factor": 0.1}]},
            "parameters.groups: 'layer.*' matches no parameter of MLP. Did you mean 'layers.*'?",
        ),
        (
            {"freeze": ["layers.0.wieght"]},
            "parameters.freeze: 'layers.0.wieght' matches no parameter of MLP. "
            "Did you mean 'layers.0.weight'?",
        ),
        ({"freeze": ["layers"]}, "parameters.freeze: 'layers' matches no parameter of MLP."),
        ({"freeze": ["*"]}, "parameters.freeze=['*'] matches all parameters of MLP"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_before_a_run_is_made(
    parameters: dict[str, Any], message: str, home: Home
) -> None:
    from goodfit.tracking import database

    cfg = home(parameters=parameters)
    with pytest.raises(UserError) as error:
        fit(cfg)
    assert message in str(error.value)
    assert database.connect(cfg.tracking.uri).get_experiment_by_name("tiny") is None


def test_patterns_can_be_given_on_the_command_line() -> None:
    from goodfit.config.compose import compose

    given = "parameters.groups=[{names:features.*,lr_factor:0.1}]"
    cfg = compose(tiny.ROOT, ["experiment=mnist", given, "parameters.freeze=[features.0.*]"])
    read = build.parameter_rules(cfg)
    assert (read.groups[0].names, read.groups[0].lr_factor) == ("features.*", 0.1)
    assert read.freeze == ("features.0.*",)


def test_an_optimizer_that_cannot_step_a_parameter_says_so_in_a_line(prepared: Prepared) -> None:
    """Muon is for matrices alone, which only the network's own parameters tell."""
    cfg = tiny.cfg("breast_cancer")
    cfg.optimizer = {"_target_": "torch.optim.Muon", "_partial_": True, "lr": 0.1}
    task = build.task(cfg, DataSpec.read(prepared("breast_cancer") / "spec.json"))
    with pytest.raises(UserError, match="optimizer: Muon only supports 2D parameters"):
        build.check_optimizer(task)


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
@pytest.mark.parametrize("foreach", [False, True])
def test_parameters_in_two_groups_of_equal_options_are_stepped_as_in_one(
    optimizer: str, foreach: bool
) -> None:
    stepped = []
    for groups in ([], [{"names": "head.*", "weight_decay": 0.1}]):
        torch.manual_seed(0)
        net = Net()
        made = make_optimizer(
            net,
            optimizer=partial(
                getattr(torch.optim, optimizer), lr=0.1, weight_decay=0.1, foreach=foreach
            ),
            rules=rules(groups=groups),
        )
        assert len(made.param_groups) == 1 + len(groups)
        for _ in range(20):
            for parameter in net.parameters():
                parameter.grad = torch.randn_like(parameter)
            made.step()
        stepped.append(bits(net))
    one, two = stepped
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_gradients_are_clipped_before_a_fused_step_in_mixed_precision(home: Home) -> None:
    cfg = home(trainer={"precision": "bf16-mixed", "gradient_clip_val": 1.0, "max_epochs": 1})
    assert cfg.optimizer.fused
    trained = fit(cfg, out=Path("model"))
    assert math.isfinite(trained.score)

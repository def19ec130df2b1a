"""What passes the check and still cannot work says so in a line, before a run is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from goodfit import build
from goodfit.contract import DataSpec, Field
from goodfit.errors import UserError

Prepared = Callable[[str], Path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("mnist", {"model": {"stages": 9}}, "CNN cannot take these data: Given input size"),
        ("reviews", {"model": {"heads": 7}}, "model.heads=7 does not divide model.width="),
        ("reviews", {"model": {"subwords": 1}}, "model.subwords=1; expected at least 2"),
        (
            "breast_cancer",
            {"optimizer": {"betas": [2, 3]}},
            "optimizer: Invalid beta parameter at index 0: 2",
        ),
        ("breast_cancer", {"optimizer": {"eps": "abc"}}, "not supported between instances of"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(
    case: str, changes: dict[str, Any], message: str, prepared: Prepared
) -> None:
    cfg = tiny.cfg(case)
    for group, values in changes.items():
        for key, value in values.items():
            cfg[group][key] = value
    with pytest.raises(UserError) as error:
        build.check_optimizer(build.task(cfg, DataSpec.read(prepared(case) / "spec.json")))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_check_draws_no_random_number_and_leaves_the_network_in_training(
    prepared: Prepared,
) -> None:
    cfg, spec = tiny.cfg("reviews"), DataSpec.read(prepared("reviews") / "spec.json")
    torch.manual_seed(0)
    made = build.task(cfg, spec)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    build.make("model", cfg.model, spec)  # the same without the check
    assert torch.equal(torch.get_rng_state(), after)
    assert made.training


@pytest.mark.parametrize(
    "target", ["goodfit.data.gone.Gone", "goodfit.data.mnist.Gone", "goodfit.data.split.stratified"]
)
def test_a_spec_that_names_no_data_set_is_refused(target: str) -> None:
    spec = DataSpec(
        data=target, kind="number", outputs=1, inputs={}, targets={"target": Field((), "float32")}
    )
    with pytest.raises(UserError, match=f"spec.json names '{target}', which is no data set"):
        build.data_class(spec)


def test_of_the_data_sets_inputs_those_are_used_that_the_network_takes(prepared: Prepared) -> None:
    spec = DataSpec.read(prepared("breast_cancer") / "spec.json")
    spec.inputs["colour"] = Field((1,), "float32")
    assert build.task(tiny.cfg("breast_cancer"), spec).inputs == ("numbers",)


def test_an_input_that_the_network_needs_and_the_data_lack_is_named(prepared: Prepared) -> None:
    spec = DataSpec.read(prepared("breast_cancer") / "spec.json")
    spec.inputs["colour"] = spec.inputs.pop("numbers")
    with pytest.raises(
        UserError, match=r"MLP.forward takes \['numbers'\], the data give \['colour'\]"
    ):
        build.task(tiny.cfg("breast_cancer"), spec)

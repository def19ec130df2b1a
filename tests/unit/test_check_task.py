"""What a task declares about its network and its scores is checked from source text alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tiny

from goodfit.config import signature
from goodfit.config.check import _check_kind_of_target, _check_network, _check_scores, _Part, check
from goodfit.config.signature import Signature
from goodfit.errors import UserError


def read(target: str) -> Signature:
    declared = signature.read(target)
    assert declared is not None
    return declared


def parts(network: dict[str, Any], task: dict[str, Any]) -> dict[str, _Part]:
    """A network and a task as a source would declare them, for a data set with texts."""
    base = read("goodfit.task.base.Task")
    declared = {"kinds": ("text",), "scores": {"chrf": "max"}, **task.pop("constants", {})}
    data = {"inputs": ("source",), "may_give": (), "targets": ("text",), "kind": "text"}
    return {
        "data": _Part("Pairs", Signature({}, constants=data)),
        "model": _Part("Cnn", Signature({}, **network)),
        "task": _Part("Generation", replace(base, constants=base.constants | declared, **task)),
        "baseline": _Part("Memory", Signature({}, constants={"kinds": ("text",)})),
    }


FED = {"constants": {"feeds": ("previous",)}}
READS = {"constants": {"network_methods": ("read", "step")}}


@pytest.mark.parametrize(
    ("forward", "task"),
    [
        (("source",), {}),
        (("source", "source_length"), {}),
        (("source", "previous"), FED),
        (("source", "source_length", "previous"), FED),
    ],
)
def test_data_lengths_and_task_give_the_network_its_arguments(
    forward: tuple[str, ...], task: dict[str, Any]
) -> None:
    _check_network(parts({"forward": forward}, dict(task)))


@pytest.mark.parametrize(
    ("forward", "task", "message"),
    [
        (
            ("source", "previous"),
            {},
            r"Cnn.forward takes \['source', 'previous'\], the data set gives \['source'\]",
        ),
        (("source", "picture_length"), {}, r"takes \['source', 'picture_length'\]"),
        (
            ("source",),
            FED,
            r"task Generation gives the network \['previous'\], Cnn.forward takes \['source'\]",
        ),
    ],
)
def test_an_argument_that_nobody_gives_or_takes_is_named(
    forward: tuple[str, ...], task: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        _check_network(parts({"forward": forward}, dict(task)))


@pytest.mark.parametrize(
    ("methods", "wanted", "message"),
    [
        ((), ("read", "step"), "needs a network with read and step, Cnn has neither"),
        (("read",), ("read", "step"), "needs a network with read and step, Cnn lacks step"),
        ((), ("read",), "needs a network with read, Cnn has none"),
        (("read", "step"), ("read", "step"), None),
    ],
)
def test_the_network_has_the_methods_that_the_task_calls(
    methods: tuple[str, ...], wanted: tuple[str, ...], message: str | None
) -> None:
    network = {"forward": ("source",), "methods": frozenset({"forward", *methods})}
    made = parts(network, {"constants": {"network_methods": wanted}})
    if message is None:
        _check_network(made)
        return
    with pytest.raises(UserError, match=f"task Generation {message}; choose another model="):
        _check_network(made)


@pytest.mark.parametrize(
    ("network", "task", "message"),
    [
        ({}, {}, None),
        ({"output_form": "map"}, {"output_form": "map"}, None),
        ({"output_form": "members"}, {}, None),
        (
            {"output_form": "members"},
            {"output_form": "map"},
            "task Generation reads a map, Cnn gives a row for each member",
        ),
        ({}, {"output_form": "map"}, "task Generation reads a map, Cnn gives a row"),
        ({"output_form": "sequence"}, {}, "task Generation reads a row, Cnn gives a sequence"),
    ],
)
def test_the_network_gives_the_form_of_output_that_the_task_reads(
    network: dict[str, str], task: dict[str, str], message: str | None
) -> None:
    made = parts({"forward": ("source",), "constants": network}, {"constants": task})
    if message is None:
        _check_network(made)
        return
    with pytest.raises(UserError, match=f"{message}; choose another model= or task="):
        _check_network(made)


@pytest.mark.parametrize(("model", "case"), [("cnn", "crowns-small"), ("centernet", "mnist")])
def test_a_network_for_whole_images_and_one_for_places_in_them_are_not_exchanged(
    model: str, case: str
) -> None:
    """Their inputs have the same name: without the form, both pairs would start a training."""
    with pytest.raises(UserError, match=r"reads a (map|row), \w+ gives a (map|row)"):
        check(tiny.cfg(case, model=model))


@pytest.mark.parametrize(
    ("loss", "fits"),
    [(("text",), True), (("text", "text_length"), True), (("text", "source_length"), False)],
)
def test_the_loss_takes_targets_and_their_lengths(loss: tuple[str, ...], fits: bool) -> None:
    made = parts({"forward": ("source",)}, {"loss": loss})
    if fits:
        _check_kind_of_target({"data": {}}, made, {})
        return
    with pytest.raises(UserError, match=r"the loss of task Generation takes \['text', 'source"):
        _check_kind_of_target({"data": {}}, made, {})


def test_methods_are_read_from_the_class_and_its_bases() -> None:
    declared = read("goodfit.task.quantile.Quantile")
    assert {"loss", "predict", "run", "infer", "watch"} <= declared.methods
    assert declared.constants["additive"] is True
    assert (declared.constants["feeds"], declared.constants["watched"]) == ((), {})


@pytest.mark.parametrize(
    ("monitor", "watched", "message"),
    [
        ("loss", {"tokens": "max"}, None),
        ("tokens", {"tokens": "max"}, None),
        ("chrf", {}, None),
        ("chrf", {"tokens": "max"}, r"task.monitor=chrf does not exist. Known: loss, tokens"),
        ("tokens", {}, "task.monitor=tokens does not exist"),
    ],
)
def test_what_is_monitored_is_a_score_of_each_epoch(
    monitor: str, watched: dict[str, str], message: str | None
) -> None:
    task = parts({}, {"constants": {"watched": watched}})["task"].signature
    section = {"monitor": monitor, "score": "chrf"}
    if message is None:
        _check_scores(section, task)
        return
    with pytest.raises(UserError, match=message):
        _check_scores(section, task)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.1, 0.5, 0.9], None),
        ([0.9, 0.1], r"task.quantiles: expected numbers that rise, got \[0.9, 0.1\]"),
        ([0.5, 0.5], "expected numbers that rise"),
        ([0.5, 1.0], "task.quantiles: expected less than 1, got 1.0"),
        ([], "task.quantiles: "),
    ],
)
def test_levels_of_quantiles_rise_between_0_and_1(levels: list[float], message: str | None) -> None:
    cfg = tiny.cfg("table-number", task="quantile")
    cfg.task.quantiles = levels
    if message is None:
        check(cfg)
        return
    with pytest.raises(UserError, match=message):
        check(cfg)

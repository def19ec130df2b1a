"""What every network must do with the sample of every data set that it takes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import answers
import pytest
import tiny
import torch
from torch import Tensor

from goodfit import build
from goodfit.config import signature
from goodfit.contract import END, PAD, Batch, DataSpec
from goodfit.store.arrays import Packed
from goodfit.task.base import Task
from goodfit.task.beam import search
from goodfit.task.layers import layer_of

Prepared = Callable[[str], Path]
fits = pytest.mark.parametrize(("model", "case"), tiny.pairs())


def writes(model: str) -> bool:
    """Whether a network has what writes token by token."""
    declared = signature.read(tiny.section("model", model)["_target_"])
    assert declared is not None
    return {"read", "step"} <= declared.methods


writers = pytest.mark.parametrize(
    ("model", "case"), [pair for pair in tiny.pairs() if writes(pair[0])]
)


def made(model: str, folder: Path, case: str, samples: int = 16) -> tuple[Task, Batch]:
    """The task around the network, without dropout and noise, and the first samples of train."""
    torch.manual_seed(0)
    task = build.task(tiny.calm(tiny.cfg(case, model=model)), DataSpec.read(folder / "spec.json"))
    return task, packed(task, folder).batch(torch.arange(samples))


def packed(task: Task, folder: Path) -> Packed:
    """Train, with the inputs that the network takes."""
    return Packed(folder, "train").only(task.inputs)


def run(task: Task, batch: Batch) -> Tensor:
    """The network's output, (B, ...), with what the task itself feeds it."""
    output: Tensor = task.run(batch.inputs, batch.targets)
    return output


def steps(task: Task, batch: Batch, count: int, enough: float = 0.0) -> list[float]:
    """The losses of a few steps of Adam on one batch.

    No more once the last five are below `enough` of the first.
    """
    optimizer = torch.optim.Adam(task.parameters(), 3e-3)
    losses = []
    for _ in range(count):
        loss = task.losses(run(task, batch), batch.targets).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) > 5 and max(losses[-5:]) < enough * losses[0]:
            break
    return losses


@pytest.mark.parametrize("model", tiny.names("model"))
def test_its_inputs_are_what_some_data_set_gives(model: str) -> None:
    assert any(model in tiny.models(case) for case in tiny.cases())


@fits
def test_the_check_reads_the_same_arguments_that_the_class_has(
    model: str, case: str, prepared: Prepared
) -> None:
    task, _ = made(model, prepared(case), case)
    read = signature.read(tiny.section("model", model)["_target_"])
    assert read is not None
    assert list(read.forward) == list(inspect.signature(task.model.forward).parameters)


@fits
def test_the_output_has_the_declared_form_for_each_sample(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    options = dict(tiny.cfg(case, model=model).task)
    outputs = task.outputs(task.spec, **options)
    shape = tuple(run(task, batch).shape)
    if task.has_members:
        assert shape == (16, shape[1], outputs)
        assert tuple(run(task.eval(), batch).shape) == (16, outputs)
    elif task.output_form == "row":
        assert shape == (16, outputs)
    elif task.output_form == "map":
        assert shape[:2] == (16, outputs)
        assert len(shape) == 4
    else:
        assert task.output_form == "sequence"
        longest = max(target.shape[1] for target in batch.targets.values() if target.ndim > 1)
        assert shape == (16, longest, outputs)


@fits
def test_gradient_reaches_every_parameter_within_three_steps(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    before = copy.deepcopy(dict(task.named_parameters()))
    steps(task.train(), batch, 3)
    same = [name for name, value in task.named_parameters() if torch.equal(value, before[name])]
    assert same == []


@fits
def test_each_parameter_is_in_one_of_the_layers_that_it_declares_and_the_output_in_the_last(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    if not hasattr(task.model, "layer_groups"):
        pytest.skip("declares no layers")
    places = layer_of(task.model)
    assert set(places.values()) == set(range(len(task.model.layer_groups)))
    # without the last layer's bias and weight, nothing depends on the input
    with torch.no_grad():
        for name, parameter in task.model.named_parameters():
            if places[name] == max(places.values()):
                parameter.zero_()
    assert run(task.eval(), batch).abs().max() == 0


@fits
def test_evaluation_is_deterministic(model: str, case: str, prepared: Prepared) -> None:
    task, batch = made(model, prepared(case), case)
    task.eval()
    assert torch.equal(run(task, batch), run(task, batch))


@fits
def test_a_samples_output_does_not_depend_on_the_others(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    steps(task.train(), batch, 2)  # a network whose last layer starts at zero says nothing before
    task.eval()
    together = run(task, batch)
    train = packed(task, prepared(case))
    for row in range(16):
        # as long as it is by itself, where samples are ragged
        alone = run(task, train.batch(torch.tensor([row])))
        same = together[row : row + 1]
        if task.output_form == "sequence":
            same = same[:, : alone.shape[1]]
        torch.testing.assert_close(alone, same, rtol=1e-4, atol=1e-5)


@fits
def test_a_samples_output_does_not_depend_on_how_far_it_is_padded(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    steps(task.train(), batch, 2)
    task.eval()
    inputs = answers.longer(task, batch.inputs)
    padded = run(task, batch._replace(inputs=inputs))
    torch.testing.assert_close(padded, run(task, batch), rtol=1e-4, atol=1e-5)

    targets = answers.longer(task, batch.targets)
    padded = answers.as_long(task, run(task, batch._replace(targets=targets)), batch.targets)
    torch.testing.assert_close(padded, run(task, batch), rtol=1e-4, atol=1e-5)


@fits
def test_it_learns_sixteen_samples_by_heart(model: str, case: str, prepared: Prepared) -> None:
    task, batch = made(model, prepared(case), case)
    losses = steps(task.train(), batch, 100, enough=0.3)
    assert max(losses[-5:]) < 0.3 * losses[0]


@fits
def test_its_weights_come_back_from_a_file_without_pickled_code(
    model: str, case: str, prepared: Prepared, tmp_path: Path
) -> None:
    task, batch = made(model, prepared(case), case)
    torch.save(task.model.state_dict(), tmp_path / "weights.pt")
    other, _ = made(model, prepared(case), case)
    for parameter in other.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    other.model.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(run(other.eval(), batch), run(task.eval(), batch))


@writers
def test_a_token_at_a_time_gives_the_logits_of_the_whole_text(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    steps(task.train(), batch, 5)
    network: Any = task.eval().model
    whole = run(task, batch)

    (text,) = (target for target in batch.targets.values() if target.ndim == 2)
    memory, cache = network.read(**batch.inputs), ()
    tokens = torch.full((16,), END)
    for place in range(text.shape[1]):
        logits, cache = network.step(tokens, memory, cache)
        torch.testing.assert_close(logits, whole[:, place], rtol=1e-4, atol=1e-4)
        tokens = text[:, place]


@writers
def test_a_search_with_one_beam_takes_the_likeliest_token_each_time(
    model: str, case: str, prepared: Prepared
) -> None:
    """As `forward` gives it, without a cache."""
    task, batch = made(model, prepared(case), case)
    steps(task.train(), batch, 25)
    network: Any = task.eval().model
    longest = 10

    previous = torch.full((16, 1), END)
    with torch.no_grad():
        for _ in range(longest):
            logits = network(**batch.inputs, **dict.fromkeys(task.feeds, previous))[:, -1]
            logits[:, PAD] = -torch.inf
            previous = torch.cat([previous, logits.argmax(-1, keepdim=True)], 1)
        memory = network.read(**batch.inputs)
        written = search(
            lambda tokens, cache: network.step(tokens, memory, cache),
            16,
            beams=1,
            longest=longest,
            length_penalty=1.0,
            device=torch.device("cpu"),
        )
    is_end = previous[:, 1:] == END
    behind = is_end.cumsum(1) - is_end.long() > 0
    assert torch.equal(written, previous[:, 1:].masked_fill(behind, PAD))
    assert len(written.unique(dim=0)) > 1

"""What every network must do with the sample of every data set that it takes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor

from goodfit import build
from goodfit.config import signature
from goodfit.contract import Batch, DataSpec
from goodfit.store.arrays import Packed
from goodfit.task.base import Task

Prepared = Callable[[str], Path]
fits = pytest.mark.parametrize(("model", "case"), tiny.pairs())


def made(model: str, folder: Path, case: str, samples: int = 16) -> tuple[Task, Batch]:
    """The task around the network, without dropout and noise, and the first samples of train."""
    torch.manual_seed(0)
    task = build.task(tiny.calm(tiny.cfg(case, model=model)), DataSpec.read(folder / "spec.json"))
    return task, Packed(folder, "train").batch(torch.arange(samples))


def steps(task: Task, batch: Batch, count: int) -> list[float]:
    """The losses of a few steps of Adam on one batch."""
    optimizer = torch.optim.Adam(task.parameters(), 3e-3)
    losses = []
    for _ in range(count):
        loss = task.loss(task(**batch.inputs), **batch.targets).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("model", tiny.names("model"))
def test_its_inputs_are_what_some_data_set_gives(model: str) -> None:
    needs, takes = tiny.takes(model)
    assert any(needs <= tiny.gives(case) <= takes for case in tiny.cases())


@fits
def test_the_check_reads_the_same_arguments_that_the_class_has(
    model: str, case: str, prepared: Prepared
) -> None:
    task, _ = made(model, prepared(case), case)
    read = signature.read(tiny.section("model", model)["_target_"])
    assert read is not None
    assert list(read.forward) == list(inspect.signature(task.model.forward).parameters)


@fits
def test_the_output_is_one_row_of_numbers_for_each_sample(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    options = dict(tiny.cfg(case, model=model).task)
    assert tuple(task(**batch.inputs).shape) == (16, task.outputs(task.spec, **options))


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
def test_evaluation_is_deterministic(model: str, case: str, prepared: Prepared) -> None:
    task, batch = made(model, prepared(case), case)
    task.eval()
    assert torch.equal(task(**batch.inputs), task(**batch.inputs))


@fits
def test_a_samples_output_does_not_depend_on_the_others(
    model: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(model, prepared(case), case)
    steps(task.train(), batch, 2)  # a network whose last layer starts at zero says nothing before
    task.eval()
    together: Tensor = task(**batch.inputs)

    alone = []
    for row in range(16):
        sample = {name: array[row : row + 1] for name, array in batch.inputs.items()}
        alone.append(task(**sample))
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-5)


@fits
def test_it_learns_sixteen_samples_by_heart(model: str, case: str, prepared: Prepared) -> None:
    task, batch = made(model, prepared(case), case)
    losses = steps(task.train(), batch, 100)
    assert min(losses[-5:]) < 0.3 * losses[0]


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
    assert torch.equal(other.eval()(**batch.inputs), task.eval()(**batch.inputs))

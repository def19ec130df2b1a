"""Members of an ensemble: what each is, how it learns, and how a task makes one answer of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from goodfit import build
from goodfit.contract import Batch, DataSpec, Field
from goodfit.model.tabm import Bends, TabM
from goodfit.predictor import Predictor
from goodfit.store.arrays import Packed
from goodfit.task.base import Task
from goodfit.training.lightning_task import LightningTask

Prepared = Callable[[str], Path]
TASKS = [
    ("classification", "table-class"),
    ("regression", "table-number"),
    ("quantile", "table-number"),
]
tasks = pytest.mark.parametrize(("name", "case"), TASKS)


def network(**facts: Any) -> TabM:
    """Three members on two numbers."""
    torch.manual_seed(0)
    inputs = {"numbers": Field((2,), "float32")}
    spec = DataSpec(data="d", kind="class", outputs=2, inputs=inputs, targets={}, facts=facts)
    return TabM(spec, members=3, embedding=4, width=8, depth=2, dropout=0.0)


def made(name: str, case: str, folder: Path) -> tuple[Task, Batch]:
    """The task around an ensemble without dropout, in training, and thirty samples."""
    torch.manual_seed(0)
    cfg = tiny.calm(tiny.cfg(case, model="tabm", task=name))
    task = build.task(cfg, DataSpec.read(folder / "spec.json")).train()
    return task, Packed(folder, "train").only(task.inputs).batch(torch.arange(30))


def test_a_number_is_embedded_by_how_far_it_passes_each_part() -> None:
    bends = Bends([[0.0, 1.0, 3.0], [-1.0, 1.0]], 1)
    torch.nn.init.zeros_(bends.bias)
    with torch.no_grad():
        # 10 for the first part of each, 100 for the second part, which the second number lacks
        bends.weight.copy_(torch.tensor([[[10.0], [100.0]], [[10.0], [100.0]]]))
    x = torch.tensor([[-5.0, 0.0], [0.5, 1.0], [2.0, 9.0], [3.0, -9.0], [99.0, 0.5]])
    expected = [[0, 5], [5, 10], [60, 10], [110, 0], [110, 7.5]]
    numbers, bent = bends(x).unbind(2)
    assert bent.tolist() == expected
    assert numbers.tolist() == [[0, 0], [0.5, 1], [2, 1], [3, -1], [3, 0.5]]


def test_with_equal_scales_each_member_is_the_plain_network_of_the_shared_weights() -> None:
    model = network(knots=[[], []])
    with torch.no_grad():
        for layer in (model.layers[0], model.layers[3]):
            layer.scale_in.fill_(1.0)  # type: ignore[union-attr, operator]
            layer.bias.copy_(layer.bias[:1].expand_as(layer.bias))  # type: ignore[union-attr, operator, index, arg-type]
    x = torch.randn(5, 2)
    hidden = x
    for layer in (model.layers[0], model.layers[3]):
        hidden = F.linear(hidden, layer.weight, layer.bias[0]).relu()  # type: ignore[arg-type, index]
    for member in range(3):
        expected = hidden @ model.head.weight[member] + model.head.bias[member]
        torch.testing.assert_close(model(x)[:, member], expected)


def test_members_begin_with_scales_of_their_own_one_for_each_feature() -> None:
    """Biases and heads alone would tell members apart, too."""
    first = network().layers[0]
    members, inputs = first.scale_in.shape
    scales = {tuple(row) for row in first.scale_in.detach().T.tolist()}
    assert (members, inputs > len(scales)) == (3, True)
    assert len(scales) == 2  # of two numbers: all that stands for one is scaled alike
    assert all(len(set(scale)) == members for scale in scales)


def test_a_members_loss_moves_no_scale_of_another_one() -> None:
    model = network()
    model(torch.randn(20, 2))[:, 1].square().mean().backward()
    own = [model.layers[0].scale_in, model.layers[3].scale_out, model.head.weight]
    for parameter in own:
        moved = parameter.grad.abs().flatten(1).amax(1) > 0  # type: ignore[union-attr, operator]
        assert moved.tolist() == [False, True, False]


@tasks
def test_each_member_learns_by_its_own_loss(name: str, case: str, prepared: Prepared) -> None:
    task, batch = made(name, case, prepared(case))
    output = task.run(batch.inputs, batch.targets)
    of_each = [task.loss(output[:, member], **batch.targets) for member in range(output.shape[1])]
    expected = torch.stack(of_each).mean(0)
    torch.testing.assert_close(task.losses(output, batch.targets), expected)


@tasks
def test_the_prediction_is_the_mean_of_the_members(
    name: str, case: str, prepared: Prepared
) -> None:
    task, batch = made(name, case, prepared(case))
    members = task.model(**batch.inputs).unbind(1)
    expected = torch.stack([task.predict(output) for output in members]).mean(0)
    task.eval()
    if name == "quantile":
        # levels may cross in a member and not in their mean: sorted after it, not before
        output = torch.stack(list(members)).mean(0)
        expected = task.predict(output)
    torch.testing.assert_close(task.infer(batch.inputs), expected)
    torch.testing.assert_close(task.predict(task.run(batch.inputs, batch.targets)), expected)


def test_the_loss_of_validation_is_the_log_loss_of_the_mean(prepared: Prepared) -> None:
    """By Jensen's inequality it is less than the mean of the members' own."""
    task, batch = made("classification", "table-class", prepared("table-class"))
    own = task.losses(task.run(batch.inputs, batch.targets), batch.targets).mean()
    task.eval()
    data = Packed(prepared("table-class"), "train")
    results = Predictor(task, task.spec).measure(data, rows=torch.arange(30))
    statistics = results.statistics
    log_loss = float(task.metrics()["log_loss"](statistics))
    assert results.mean_loss == pytest.approx(log_loss, rel=1e-5)
    assert results.mean_loss < own.item()


def test_scores_of_a_training_step_are_those_of_the_mean(prepared: Prepared) -> None:
    task, batch = made("regression", "table-number", prepared("table-number"))
    module = LightningTask(task)
    module.on_train_epoch_start()
    module.training_step(batch, 0)
    row = module.reduce("train")
    error = task.eval().infer(batch.inputs) - batch.targets["target"]
    assert row["train/rmse"] == pytest.approx(error.square().mean().sqrt().item(), rel=1e-5)


def test_knots_are_quantiles_of_the_features_that_are_more_than_codes(prepared: Prepared) -> None:
    """As the network gets them: numbers, days, angles; no one-hot code, mark or boolean."""
    folder = prepared("table-class")
    knots = DataSpec.read(folder / "spec.json").facts["knots"]
    train = Packed(folder, "train")
    values = train.batch(torch.arange(len(train))).inputs["numbers"].numpy()
    assert len(knots) == values.shape[1]
    for feature, ends in zip(values.T, knots, strict=True):
        assert bool(ends) == (len(np.unique(feature)) > 2)
        if ends:
            np.testing.assert_allclose([ends[0], ends[-1]], [feature.min(), feature.max()], 1e-4)
            assert (np.diff(ends) > 0).all()

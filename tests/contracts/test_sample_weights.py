"""A row of weight k is k equal rows, to every task and baseline of data that weigh rows.

Of these weights some are 0, so it is shown, too, that what weighs nothing changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from answers import arrays_of, at, count, spoiled, targets_of
from task_pairs import Prepared, pairs
from torch import Tensor

from goodfit import build
from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.contract import SAMPLE_WEIGHT, Batch, DataSpec
from goodfit.evaluation.baselines import labelled
from goodfit.store.arrays import Packed
from goodfit.task.base import Task
from goodfit.task.epoch import score_rows
from goodfit.task.scores import Statistics, with_weight
from goodfit.training.lightning_task import LightningTask

# they choose features or bins by rows that count alike, or their weights have another scale
_OF_ROWS = {
    "boosting",
    "each_boosting",
    "joint_boosting",
    "tfidf",
    "tfidf_ridge",
    "hog",
    "hog_ridge",
}
_OF_ROWS |= {"svm", "mean_spectrum", "mfcc_logistic", "mfcc_ridge", "mfcc_svm"}
_SINGLE = 2e-5  # of what is summed in float32


def is_weighed(case: str) -> bool:
    """Whether the data set takes the name of a column that weighs its rows."""
    return "weight" in tiny.section("data", case)


def weights(samples: int) -> Tensor:
    """Whole numbers from 0 to 3, (N,)."""
    return torch.randint(0, 4, (samples,), generator=torch.Generator().manual_seed(2)).float()


def copies(weight: Tensor) -> Tensor:
    """The rows (M,) of a file in which each row stands as often as it weighs."""
    return torch.arange(len(weight)).repeat_interleave(weight.long())


def made(name: str, case: str, prepared: Prepared) -> tuple[Task, Packed]:
    """A task without dropout, noise and statistics of the batch, and the samples of train."""
    folder = prepared(case)
    cfg = tiny.calm(tiny.cfg(case, task=name))
    torch.manual_seed(0)
    task = build.task(cfg, DataSpec.read(folder / "spec.json"))
    task.learn(arrays_of(folder, "targets"), held_out=100)
    return task.eval(), Packed(folder, "train").only(task.inputs)


def weighed_and_copied(train: Packed) -> tuple[Batch, Batch]:
    """All of train in one batch, with weights, and with each row as often as it weighs."""
    weight = weights(len(train))
    whole = train.batch(torch.arange(len(train)))._replace(sample_weight=weight)
    return whole, train.batch(copies(weight))


def of_both(task: Task, prepared: Prepared, case: str) -> tuple[Statistics, Statistics]:
    """Statistics of predictions that are wrong in all ways, with weights and with copies."""
    targets = targets_of(prepared(case))
    weight = weights(count(targets))
    order = torch.randperm(len(weight), generator=torch.Generator().manual_seed(1))
    prediction = spoiled(task, targets, 0.4)[order]
    rows = copies(weight)
    return (
        with_weight(task.statistics(prediction, **targets), weight),
        task.statistics(prediction[rows], **at(targets, rows)),
    )


weighed = pytest.mark.parametrize(
    ("name", "case"), [pair for pair in pairs() if is_weighed(pair[1])]
)


def test_each_task_for_targets_of_tables_is_among_them() -> None:
    found = {name for name, case in pairs() if is_weighed(case)}
    assert found >= {"classification", "regression", "quantile", "count", "ordinal"}
    assert found >= {"multilabel", "multivariate"}


@weighed
@pytest.mark.fault(74)
def test_scores_are_those_of_copies(name: str, case: str, prepared: Prepared) -> None:
    task, _ = made(name, case, prepared)
    one, other = (
        score_rows(task.metrics(), statistics, additive=task.additive)
        for statistics in of_both(task, prepared, case)
    )
    assert one == pytest.approx(other, rel=_SINGLE)


@weighed
@pytest.mark.fault(74)
def test_scores_are_others_than_without_weights(name: str, case: str, prepared: Prepared) -> None:
    task, _ = made(name, case, prepared)
    statistics, _ = of_both(task, prepared, case)
    alike = {key: values for key, values in statistics.items() if key != SAMPLE_WEIGHT}
    one, other = (
        score_rows(task.metrics(), each, additive=task.additive) for each in (statistics, alike)
    )
    for title, value in one.items():
        assert value != pytest.approx(other[title], rel=1e-6), title


@pytest.mark.slow
@weighed
@pytest.mark.fault(74)
def test_loss_and_gradient_are_those_of_copies(name: str, case: str, prepared: Prepared) -> None:
    losses, gradients = [], []
    for copied in (False, True):
        task, train = made(name, case, prepared)
        batch = weighed_and_copied(train)[copied]
        loss = LightningTask(task).training_step(batch, 0)
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([each.grad.flatten() for each in task.model.parameters()]))
    assert losses[0] == pytest.approx(losses[1], rel=_SINGLE)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@weighed
def test_an_epoch_has_the_loss_and_scores_of_copies(
    name: str, case: str, prepared: Prepared
) -> None:
    rows = []
    for copied in (False, True):
        task, train = made(name, case, prepared)
        batch = weighed_and_copied(train)[copied]
        half, module = count(batch.targets) // 2, LightningTask(task)
        for step, part in enumerate((slice(half), slice(half, None))):
            module.training_step(_part(batch, part), step)
        rows.append(module.reduce("train"))
    assert rows[0] == pytest.approx(rows[1], rel=1e-4, abs=1e-5)


@pytest.mark.slow
@weighed
def test_weights_of_one_change_no_digit_of_the_loss(
    name: str, case: str, prepared: Prepared
) -> None:
    losses = []
    for weight in (None, 1.0):
        task, train = made(name, case, prepared)
        ones = None if weight is None else torch.full((len(train),), weight)
        batch = train.batch(torch.arange(len(train)))._replace(sample_weight=ones)
        losses.append(LightningTask(task).training_step(batch, 0))
    assert torch.equal(*losses)


@weighed
@pytest.mark.fault(74)
def test_a_batch_that_weighs_nothing_moves_nothing(
    name: str, case: str, prepared: Prepared
) -> None:
    task, train = made(name, case, prepared)
    batch = train.batch(torch.arange(5))._replace(sample_weight=torch.zeros(5))
    loss = LightningTask(task).training_step(batch, 0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(bool((each.grad == 0).all()) for each in task.model.parameters())


@weighed
def test_trivial_answers_are_those_of_copies(name: str, case: str, prepared: Prepared) -> None:
    task, _ = made(name, case, prepared)
    train = arrays_of(prepared(case), "targets")
    weight = weights(len(next(iter(train.values()))))
    rows = copies(weight).numpy()
    one = task.trivial({**train, SAMPLE_WEIGHT: weight.numpy()}, {}, 3)
    other = task.trivial({key: values[rows] for key, values in train.items()}, {}, 3)
    assert one.keys() == other.keys()
    for title, answer in one.items():
        np.testing.assert_allclose(answer, other[title], rtol=_SINGLE)


def weighing_baselines() -> list[tuple[str, str]]:
    """Those that weigh samples, each with each kind of data that weighs rows."""
    found = []
    for name, case in tiny.baseline_pairs():
        if is_weighed(case) and tiny.constants(tiny.section("baseline", name))["weighs"]:
            found.append((name, case))
    return found


def baseline(name: str, case: str) -> Baseline:
    return build.baselines(tiny.cfg(case, baseline=name))[0]


def some(samples: LabelledSamples, rows: Any, **more: Any) -> LabelledSamples:
    """The samples at `rows`, with more beside their targets."""
    targets = {key: values[rows] for key, values in samples.targets.items()}
    inputs = {key: values[rows] for key, values in samples.inputs.items()}
    readable = samples.rows.iloc[rows].reset_index(drop=True)
    return LabelledSamples(inputs, readable, targets | more)


def answers_of(
    name: str, case: str, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec
) -> Any:
    method = baseline(name, case)
    method.fit(train.that_count(), validation, spec)
    return method.predict(Samples(validation.inputs, validation.rows))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "case"), weighing_baselines())
@pytest.mark.fault(74)
def test_a_baseline_answers_as_if_fitted_to_copies(
    name: str, case: str, prepared: Prepared
) -> None:
    """And otherwise than without weights; of those that choose features by rows, this alone."""
    folder = prepared(case)
    spec = DataSpec.read(folder / "spec.json")
    train, validation = (labelled(folder, split, spec) for split in ("train", "validation"))
    # samples of which each class, and each label, has a copy
    weight = weights(len(train)).numpy()
    every = np.arange(len(validation))
    rows = copies(torch.from_numpy(weight)).numpy()

    plain = answers_of(name, case, train, some(validation, every), spec)
    told = answers_of(
        name, case, some(train, np.arange(len(train)), **{SAMPLE_WEIGHT: weight}), validation, spec
    )
    assert not np.allclose(told, plain, rtol=1e-6)
    numbers_alone = name != "joint_linear" or set(spec.inputs) == {"numbers"}
    if name not in _OF_ROWS and numbers_alone:
        copied = answers_of(name, case, some(train, rows), validation, spec)
        np.testing.assert_allclose(told, copied, rtol=2e-3, atol=1e-4)


def _part(batch: Batch, part: slice) -> Batch:
    weight = batch.sample_weight
    return Batch(
        {name: values[part] for name, values in batch.inputs.items()},
        {name: values[part] for name, values in batch.targets.items()},
        batch.rows[part],
        sample_weight=None if weight is None else weight[part],
    )

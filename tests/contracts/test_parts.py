"""What every augmentation, schedule and baseline must do; new ones are tested by being in conf/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import answers
import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from goodfit import build
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.contract import Batch, DataSpec
from goodfit.data.split import SPLITS
from goodfit.store.arrays import Packed
from goodfit.store.mapped import read_arrays

Prepared = Callable[[str], Path]
STEPS = 40
CLASSES = ("class", "ordered")
augments = pytest.mark.parametrize("augment", tiny.names("augment"))
schedules = pytest.mark.parametrize("schedule", tiny.names("schedule"))


def has_opposite(case: str) -> bool:
    """Whether the targets are numbers, of which the opposite is known: of texts and boxes not."""
    return tiny.kind(case) in (*CLASSES, "number", "count", "series")


baselines = pytest.mark.parametrize(("baseline", "case"), tiny.baseline_pairs())


def changed(augment: str, batch: Batch, epoch: int = 0) -> Batch:
    cfg = OmegaConf.create({"augment": {augment: tiny.section("augment", augment)}})
    return build.augment(cfg)(batch, PerSampleRandom(batch.rows, seed=0, epoch=epoch))


def batches(augment: str, prepared: Prepared) -> list[Batch]:
    """A batch of each data set that the augmentation is for."""
    found = []
    for case in tiny.cases():
        if not tiny.augment_suits(augment, case):
            continue
        batch = Packed(prepared(case), "train").batch(torch.arange(8))
        if tiny.augment_mixes(augment):  # as the task makes them before
            hard = batch.targets["target"]
            batch = batch._replace(targets={"target": F.one_hot(hard).float()})
        found.append(batch)
    return found


def picked(batch: Batch, rows: torch.Tensor) -> Batch:
    """Some samples of a batch, (B,)."""
    inputs = {name: x[rows] for name, x in batch.inputs.items()}
    targets = {name: x[rows] for name, x in batch.targets.items()}
    return Batch(inputs, targets, batch.rows[rows])


@augments
def test_some_data_set_gives_what_an_augmentation_changes(augment: str, prepared: Prepared) -> None:
    assert batches(augment, prepared)


@augments
def test_an_augmentation_keeps_shapes(augment: str, prepared: Prepared) -> None:
    for batch in batches(augment, prepared):
        augmented = changed(augment, batch)
        shapes = {name: x.shape for name, x in batch.inputs.items()}
        assert {name: x.shape for name, x in augmented.inputs.items()} == shapes
        shapes = {name: target.shape for name, target in batch.targets.items()}
        assert {name: x.shape for name, x in augmented.targets.items()} == shapes


@augments
def test_an_augmentation_depends_on_the_sample_and_the_epoch_alone(
    augment: str, prepared: Prepared
) -> None:
    """Not on the other samples of the batch, nor on numbers that were drawn before.

    One that mixes depends on the sample's partner, too, the next one of the step. So the number of
    devices, or a resume, changes nothing.
    """
    some = torch.tensor([6, 1, 3])
    for batch in batches(augment, prepared):
        whole = changed(augment, batch)
        torch.rand(5)
        part = picked(batch, some)._replace(partner=picked(batch, some + 1))
        part = changed(augment, part)
        for mine, all_of_them in ((part.inputs, whole.inputs), (part.targets, whole.targets)):
            assert all(torch.equal(mine[name], all_of_them[name][some]) for name in all_of_them)


@augments
def test_an_augmentation_differs_from_epoch_to_epoch_or_not_at_all(
    augment: str, prepared: Prepared
) -> None:
    for batch in batches(augment, prepared):
        first, second = (changed(augment, batch, epoch).inputs for epoch in (0, 1))
        declared = tiny.constants(tiny.section("augment", augment))["inputs"]
        equal = [torch.equal(first[name], second[name]) for name in first]
        unchanged = {name for name in first if torch.equal(second[name], batch.inputs[name])}
        assert all(equal) or unchanged == set(first) - set(declared)


@augments
def test_an_augmentation_leaves_the_batch_that_it_was_given(
    augment: str, prepared: Prepared
) -> None:
    for batch in batches(augment, prepared):
        before = {name: x.clone() for name, x in batch.inputs.items()}
        targets = {name: x.clone() for name, x in batch.targets.items()}
        changed(augment, batch)
        assert all(torch.equal(batch.inputs[name], before[name]) for name in before)
        assert all(torch.equal(batch.targets[name], targets[name]) for name in targets)


@augments
def test_no_image_and_no_sound_vanishes_in_an_augmentation(
    augment: str, prepared: Prepared
) -> None:
    for batch in batches(augment, prepared):
        for name in {"image", "audio"} & set(batch.inputs):
            x = changed(augment, batch).inputs[name]
            assert (largest(x) >= 0.5 * largest(batch.inputs[name])).all()


def largest(x: torch.Tensor) -> torch.Tensor:
    """The largest magnitude in each sample, (B,)."""
    return x.float().abs().reshape(len(x), -1).amax(1)


def rates(schedule: str, total: int) -> list[float]:
    """The factor of the learning rate at each step."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    section = OmegaConf.create(tiny.section("schedule", schedule))
    scheduler = build.make("schedule", section)(optimizer, total_steps=total)
    factors = []
    for _ in range(total):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


@schedules
def test_a_schedule_stays_above_zero_and_reaches_the_full_rate(schedule: str) -> None:
    factors = rates(schedule, STEPS)
    assert min(factors) > 0
    assert max(factors) == pytest.approx(1.0)


@schedules
def test_a_schedule_rises_then_never_rises_again(schedule: str) -> None:
    factors = rates(schedule, STEPS)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@schedules
def test_a_schedule_of_one_step_has_a_rate(schedule: str) -> None:
    assert rates(schedule, 1) == [1.0]


def test_the_cosine_is_half_way_down_in_the_middle_of_its_fall() -> None:
    warmup = round(tiny.section("schedule", "cosine")["warmup"] * STEPS)
    middle = warmup + (STEPS - warmup) // 2
    assert rates("cosine", STEPS)[middle] == pytest.approx(0.5)


def samples(folder: Path, split: str) -> LabelledSamples:
    spec = DataSpec.read(folder / "spec.json")
    inputs = read_arrays(folder / split, spec.inputs)
    rows = pd.read_parquet(folder / split / "rows.parquet")
    return LabelledSamples(inputs, rows, read_arrays(folder / split, spec.targets))


def made(name: str) -> Baseline:
    """A baseline as an experiment names it."""
    sections = {"baseline": {name: tiny.section("baseline", name)}}
    (method,) = build.baselines(OmegaConf.create(sections))
    return method


def fitted(name: str, folder: Path) -> tuple[Baseline, DataSpec, LabelledSamples]:
    """A baseline that has learned from a prepared sample; the spec and test of that."""
    spec = DataSpec.read(folder / "spec.json")
    train, validation, test = (samples(folder, split) for split in SPLITS)
    method = made(name)
    method.fit(train, validation, spec)
    return method, spec, test


@pytest.mark.slow
@baselines
def test_a_baseline_predicts_in_the_form_of_a_network(
    baseline: str, case: str, prepared: Prepared
) -> None:
    method, spec, test = fitted(baseline, prepared(case))
    prediction = method.predict(Samples(test.inputs, test.rows))
    assert np.isfinite(prediction).all()
    if "target" in spec.targets:
        shape = (spec.outputs,) if spec.kind in CLASSES else spec.targets["target"].shape
        assert prediction.shape == (len(test), *shape)
    else:
        task = build.task(tiny.cfg(case, baseline=baseline), spec)
        answers.of(task).check(task, prediction, len(test))
    if spec.kind in CLASSES:
        assert prediction.sum(1) == pytest.approx(1.0)


@pytest.mark.slow
@baselines
def test_a_baseline_answers_a_sample_whatever_the_others_are(
    baseline: str, case: str, prepared: Prepared
) -> None:
    method, spec, test = fitted(baseline, prepared(case))
    together = method.predict(Samples({n: a[:5] for n, a in test.inputs.items()}, test.rows[:5]))
    single = {name: array[3:4] for name, array in test.inputs.items()}
    alone = method.predict(Samples(single, test.rows.iloc[3:4]))
    # a text is padded to the longest of those that are asked for together
    same = together[3:4, : alone.shape[1]] if spec.kind == "text" else together[3:4]
    np.testing.assert_allclose(alone, same, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.fault(62)
@pytest.mark.parametrize(
    ("baseline", "case"),
    [(name, case) for name, case in tiny.baseline_pairs() if has_opposite(case)],
)
def test_a_baseline_learns_nothing_from_the_targets_that_it_is_compared_by(
    baseline: str, case: str, prepared: Prepared
) -> None:
    """Validation says the opposite of train: who had learned it would answer so.

    Settings alone are chosen there, so that a score on validation is one of samples not learned.
    """
    folder = prepared(case)
    spec = DataSpec.read(folder / "spec.json")
    train, validation = samples(folder, "train"), samples(folder, "validation")
    truth = validation.targets
    if spec.kind in CLASSES:
        opposite = (truth["target"] + 1) % spec.outputs
    else:
        opposite = truth["target"] + 100 * np.std(train.targets["target"])

    method = made(baseline)
    lying = replace(validation, targets={"target": opposite})
    method.fit(train, lying, spec)
    prediction = method.predict(Samples(validation.inputs, validation.rows))
    if spec.kind in CLASSES:
        answered = prediction.argmax(1)
        assert (answered == truth["target"]).mean() >= (answered == opposite).mean()
    else:
        assert np.abs(prediction - truth["target"]).mean() < np.abs(prediction - opposite).mean()


@pytest.mark.parametrize("case", tiny.cases())
def test_the_readable_rows_of_a_split_do_not_hold_its_targets(
    case: str, prepared: Prepared
) -> None:
    """Whatever the label's column is called: a baseline is handed these rows of test."""
    test = samples(prepared(case), "test")
    assert build.data_set(tiny.cfg(case)).label not in test.rows.columns
    for target in test.targets.values():
        flat = target if isinstance(target, list) else target.ravel()
        values = [str(value) for value in flat[:200]]
        for name in test.rows:
            assert [str(value) for value in test.rows[name]][:200] != values

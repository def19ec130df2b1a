"""What evaluate asks of every task is whole: trivial answers, charts, answers to samples."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import answers
import numpy as np
import pytest
import tiny
import torch
from answers import Targets, arrays_of, at, count, perfect, spoiled
from task_pairs import FEW, Prepared, fits, made, pairs
from torch import Tensor

from goodfit.contract import PAD
from goodfit.errors import UserError
from goodfit.evaluation.degenerate import degenerate
from goodfit.predictor import Predictor
from goodfit.records import Answer, Chart
from goodfit.reporting import error_charts
from goodfit.store.arrays import Packed
from goodfit.task.base import Task


def seed(value: int) -> None:
    """Sets the generators that a task could draw from."""
    torch.manual_seed(value)
    np.random.seed(value)


def answered(task: Task, prediction: Tensor, targets: Targets) -> list[Answer]:
    """The answers for the first few samples."""
    rows = range(min(FEW, count(targets)))
    return [task.answer(prediction[row], **at(targets, row)) for row in rows]


@pytest.mark.fault(59)
@fits
def test_one_answer_for_everything_is_named(name: str, case: str, prepared: Prepared) -> None:
    task, targets = made(name, case, prepared(case))
    right = perfect(task, targets)
    assert task.same_answer(right) is None, f"{name} on {case}: different answers"
    rows = torch.zeros(len(right), dtype=torch.long)
    assert task.same_answer(right[rows]), f"{name} on {case}: one answer for all"


@pytest.mark.fault(59)
@pytest.mark.parametrize(
    ("name", "case"),
    # networks for a series add what they learn to the level of its past
    [pair for pair in pairs() if tiny.kind(pair[1]) != "series"],
)
def test_a_network_that_looks_at_nothing_is_found_out(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, _ = made(name, case, folder)
    for parameter in task.model.parameters():
        torch.nn.init.zeros_(parameter)
    found = degenerate(Predictor(task, task.spec), Packed(folder, "test"))
    assert found is not None
    assert re.fullmatch("it answers .+ for every test sample", found.text)


@fits
def test_trivial_answers_are_finite_and_have_the_form_of_predictions(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, _ = made(name, case, folder)
    inputs = {key: array[:FEW] for key, array in arrays_of(folder, "inputs").items()}
    trivial = task.trivial(arrays_of(folder, "targets"), inputs, FEW)
    assert trivial, f"{name} on {case} has no trivial answer"

    task.eval()
    batch = Packed(folder, "train").only(task.inputs).batch(torch.arange(FEW))
    with torch.no_grad():
        prediction = task.infer(batch.inputs)
    answers.of(task).check(task, prediction.numpy(), FEW)
    for title, answer in trivial.items():
        said = f"{name} on {case}, '{title}'"
        # a text is as long as it is
        shape = answer.shape[:1] if task.output_form == "sequence" else answer.shape
        assert shape == tuple(prediction.shape[: len(shape)]), f"{said}: not a prediction's shape"
        assert np.isfinite(answer).all(), f"{said}: holds what is no finite number"
        answers.of(task).check(task, answer, FEW)


@fits
def test_trivial_answers_depend_on_targets_of_train_and_inputs_alone(
    name: str, case: str, prepared: Prepared
) -> None:
    """Neither on weights, nor on chance, nor on what else is asked at the same time."""
    folder = prepared(case)
    task, targets = made(name, case, folder)
    train, inputs = arrays_of(folder, "targets"), arrays_of(folder, "inputs")
    seed(0)
    first = task.trivial(train, inputs, count(targets))

    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.fill_(math.nan)
    seed(1)
    again = task.trivial(train, inputs, count(targets))
    fewer = task.trivial(train, {key: array[:3] for key, array in inputs.items()}, 3)

    assert list(again) == list(fewer) == list(first), f"{name} on {case}: other titles"
    for title, answer in first.items():
        said = f"{name} on {case}, '{title}'"
        assert np.array_equal(again[title], answer), f"{said}: depends on weights or on chance"
        some = answer[:3]
        if task.output_form == "sequence":  # as long as the longest of them
            assert (some[:, fewer[title].shape[1] :] == PAD).all(), f"{said}: cut"
            some = some[:, : fewer[title].shape[1]]
        assert np.array_equal(fewer[title], some), f"{said}: depends on other samples"


@fits
@pytest.mark.parametrize("error", [0.0, 0.3])
def test_charts_can_be_stored_and_drawn(
    name: str, case: str, error: float, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, targets = made(name, case, folder)
    methods = {
        "network": task.statistics(spoiled(task, targets, error), **targets),
        "strong baseline": task.statistics(spoiled(task, targets, 0.2), **targets),
    }
    train, inputs = arrays_of(folder, "targets"), arrays_of(folder, "inputs")
    trivial = task.trivial(train, inputs, count(targets))
    for title, answer in trivial.items():
        prediction = answers.tensor(answer)
        methods[title] = task.statistics(prediction, **targets)
    assert task.diagnose(methods), f"{name} on {case} shows no chart of its errors"

    for chart in [*task.diagnose(methods), *task.typical(methods)]:
        said = f"{name} on {case}, '{chart.title}'"
        text = json.dumps(chart.to_json(), allow_nan=False)
        assert Chart.of(json.loads(text), Path("chart.json")) == chart, f"{said}: changed by JSON"
        try:
            figure = error_charts.draw(chart, unit="kW", step="30 min")
        except UserError as refusal:
            pytest.fail(f"{said}: {refusal}")
        assert figure.title, f"{said}: has no title"
        assert figure.caption, f"{said}: has no caption"
        for item in ET.fromstring(figure.svg).iter():  # noqa: S314 - our own text
            attributes = " ".join(item.attrib.values())
            assert not re.search(r"\b(nan|inf)\b", attributes), f"{said}: {attributes}"


@fits
def test_an_answer_is_wrong_where_the_prediction_is(
    name: str, case: str, prepared: Prepared
) -> None:
    task, targets = made(name, case, prepared(case))
    right = {answer.wrong for answer in answered(task, perfect(task, targets), targets)}
    wrong = {answer.wrong for answer in answered(task, spoiled(task, targets, 1.0), targets)}
    near_or_far = (right, wrong) == ({None}, {None})
    if task.spec.kind == "class" or not near_or_far:
        assert right == {False}, f"{name} on {case}: a perfect answer has wrong={right}"
        assert wrong == {True}, f"{name} on {case}: a spoiled answer has wrong={wrong}"


@fits
def test_the_drawn_boxes_of_an_answer_are_hits_where_the_prediction_is_right(
    name: str, case: str, prepared: Prepared
) -> None:
    task, targets = made(name, case, prepared(case))
    for share, is_hit in ((0.0, True), (1.0, False)):
        for row, answer in enumerate(answered(task, spoiled(task, targets, share), targets)):
            assert {box.hit for box in answer.boxes} <= {is_hit}
            if task.spec.kind == "boxes":
                assert len(answer.boxes) == 2 * int(targets["boxes_length"][row])


@fits
def test_an_answer_says_something_and_survives_json(
    name: str, case: str, prepared: Prepared
) -> None:
    task, targets = made(name, case, prepared(case))
    for answer in answered(task, spoiled(task, targets, 0.3), targets):
        assert answer.statements or answer.curves or answer.boxes, (
            f"{name} on {case}: an answer is empty"
        )
        text = json.dumps(answer.to_json(), allow_nan=False)
        back = Answer.of(json.loads(text), Path("answer.json"))
        assert back == answer, f"{name} on {case}: JSON makes {back} of {answer}"

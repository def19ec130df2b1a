"""What every task must do, with every data set that it fits.

Scores have the right direction, a person can read predictions, and what evaluate asks for
(trivial answers, charts, answers) is whole.
"""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.records import Answer, Chart
from goodfit.reporting import error_charts
from goodfit.store.arrays import Packed
from goodfit.task.base import Statistics, Task
from goodfit.task.epoch import StepResult, score_rows, totals

Prepared = Callable[[str], Path]
# a share is best at one, an error at zero
BEST = {"r2": 1.0, "accuracy": 1.0, "f1": 1.0, "auroc": 1.0}
FEW = 20  # samples, where each is looked at by itself


def pairs() -> list[tuple[str, str]]:
    """Every task with every data set that it fits and some network takes."""
    fitting = []
    for name in tiny.names("task"):
        for case in tiny.cases():
            if name in tiny.tasks(case) and tiny.models(case):
                fitting.append((name, case))
    return fitting


def is_additive(name: str) -> bool:
    """Whether a task's scores are functions of sums."""
    return bool(tiny.constants(tiny.section("task", name))["additive"])


fits = pytest.mark.parametrize(("name", "case"), pairs())


def made(name: str, case: str, folder: Path) -> tuple[Task, Tensor]:
    """A task with its network, and the targets of train."""
    spec = DataSpec.read(folder / "spec.json")
    return build.task(tiny.cfg(case, task=name), spec), Packed(folder, "train").targets["target"]


def inputs_of(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The inputs of train, in memory that nobody may write to, as evaluate hands them over."""
    arrays = {}
    for name in DataSpec.read(folder / "spec.json").inputs:
        arrays[name] = np.load(folder / "train" / f"{name}.npy", mmap_mode="r")
    return arrays


def perfect(task: Task, target: Tensor) -> Tensor:
    """The prediction that says the truth."""
    if task.spec.kind == "class":
        return torch.nn.functional.one_hot(target, task.spec.outputs).float()
    if len(form(task)) == target.ndim:  # several numbers that are to be the same one
        return target.unsqueeze(-1).repeat(1, *form(task))
    return target.clone()


def form(task: Task) -> tuple[int, ...]:
    """The shape (...) of a sample's prediction."""
    ones = {}
    for key in task.inputs:
        field = task.spec.inputs[key]
        ones[key] = torch.ones(2, *field.shape, dtype=getattr(torch, field.dtype))
    with torch.no_grad():
        return tuple(task.infer(ones).shape[1:])


def spoiled(task: Task, target: Tensor, share: float) -> Tensor:
    """The truth mixed with what is as wrong as can be."""
    right = perfect(task, target)
    far = 10 * task.spec.targets["target"].std[0] * right.flip(0).sign()
    wrong = right.roll(1, -1) if task.spec.kind == "class" else right + far
    return (1 - share) * right + share * wrong


def statistics(task: Task, prediction: Tensor, target: Tensor) -> Statistics:
    return task.statistics(prediction, target=target)


def score_all(task: Task, prediction: Tensor, target: Tensor) -> dict[str, float]:
    """Every score of the task."""
    of_samples = statistics(task, prediction, target)
    return score_rows(task.metrics(), of_samples, additive=task.additive)


def standardized(spec: DataSpec, target: Tensor) -> Tensor:
    """Numbers as a network gives them: a row of standard scores for each sample."""
    field = spec.targets["target"]
    return ((target - field.mean[0]) / field.std[0]).reshape(len(target), -1)


def seed(value: int) -> None:
    """Sets the generators that a task could draw from."""
    torch.manual_seed(value)
    np.random.seed(value)


def answers(task: Task, prediction: Tensor, target: Tensor) -> list[Answer]:
    """The answers for the first few samples."""
    return [task.answer(*pair) for pair in zip(prediction[:FEW], target[:FEW], strict=True)]


@pytest.mark.parametrize("name", tiny.names("task"))
def test_some_data_set_has_its_kind_of_target(name: str) -> None:
    assert any(name in tiny.tasks(case) for case in tiny.cases())


@fits
def test_scores_and_metrics_have_the_same_names(name: str, case: str, prepared: Prepared) -> None:
    task, _ = made(name, case, prepared(case))
    assert set(task.metrics()) == set(task.scores)


@fits
def test_a_perfect_prediction_gets_the_best_possible_score(
    name: str, case: str, prepared: Prepared
) -> None:
    task, target = made(name, case, prepared(case))
    scores = score_all(task, perfect(task, target), target)
    best = {title: BEST[title] if mode == "max" else 0.0 for title, mode in task.scores.items()}
    assert scores == pytest.approx(best, abs=1e-6)


@fits
def test_a_better_prediction_has_a_better_score(name: str, case: str, prepared: Prepared) -> None:
    task, target = made(name, case, prepared(case))
    worse = score_all(task, spoiled(task, target, 0.9), target)
    better = score_all(task, spoiled(task, target, 0.2), target)
    for title, mode in task.scores.items():
        assert (better[title] > worse[title]) == (mode == "max"), title
        assert better[title] != worse[title], title


@fits
def test_a_perfect_prediction_scores_at_least_as_well_as_a_trivial_one(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, target = made(name, case, folder)
    right = score_all(task, perfect(task, target), target)
    trivial = task.trivial({"target": target.numpy()}, inputs_of(folder), len(target))
    for title, answer in trivial.items():
        scores = score_all(task, torch.from_numpy(np.asarray(answer, np.float32)), target)
        for score, mode in task.scores.items():
            sign = 1 if mode == "max" else -1
            said = f"{name} on {case}: '{title}' has {score} {scores[score]}, truth {right[score]}"
            assert sign * right[score] >= sign * scores[score], said


@pytest.mark.parametrize(("name", "case"), [pair for pair in pairs() if is_additive(pair[0])])
def test_scores_of_many_sums_at_once_are_those_of_the_rows_of_each(
    name: str, case: str, prepared: Prepared
) -> None:
    """What the bootstrap of an additive task relies on."""
    task, target = made(name, case, prepared(case))
    of_all = statistics(task, spoiled(task, target, 0.3), target)
    sets = [torch.arange(0, len(target), 3), torch.arange(FEW), torch.tensor([1, 1, 1, 4])]
    sums = [totals({key: values[rows] for key, values in of_all.items()}) for rows in sets]
    together = {key: torch.stack([each[key] for each in sums]) for key in of_all}
    for title, score in task.metrics().items():
        at_once = score(together)
        assert at_once.shape == (len(sets),), f"{name} on {case}: {title} gives {at_once.shape}"
        for value, rows in zip(at_once.tolist(), sets, strict=True):
            alone = {key: values[rows] for key, values in of_all.items()}
            scores = score_rows(task.metrics(), alone, additive=True)
            assert value == pytest.approx(scores[title], rel=1e-9), f"{name} on {case}: {title}"


@fits
def test_what_is_watched_has_the_names_that_are_declared(
    name: str, case: str, prepared: Prepared
) -> None:
    task, _ = made(name, case, prepared(case))
    declared = set(task.watched or task.scores)
    assert set(task.watch_metrics()) == declared, f"{name} on {case}: watch_metrics"


@fits
def test_the_loss_is_less_for_an_output_nearer_to_the_truth(
    name: str, case: str, prepared: Prepared
) -> None:
    task, target = made(name, case, prepared(case))
    spec = task.spec
    if spec.kind == "class":
        output = 4 * perfect(task, target)
    else:
        output = standardized(spec, perfect(task, target))
    shift = torch.linspace(0, 3, output.shape[1]) + 1
    near, far = (task.loss(said, target=target) for said in (output, output + shift))
    assert near.shape == far.shape == (len(target),)
    assert float(near.mean()) < float(far.mean())


@fits
def test_a_sample_has_the_loss_units_and_statistics_that_it_has_alone(
    name: str, case: str, prepared: Prepared
) -> None:
    task, target = made(name, case, prepared(case))
    few = target[:FEW]
    prediction = spoiled(task, target, 0.3)[:FEW]
    output = prediction if task.spec.kind == "class" else standardized(task.spec, prediction)

    together = (task.loss(output, target=few), task.units(target=few))
    of_all = statistics(task, prediction, few)
    for row in range(FEW):
        one = slice(row, row + 1)
        alone = (task.loss(output[one], target=few[one]), task.units(target=few[one]))
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[one], part)
        for key, values in statistics(task, prediction[one], few[one]).items():
            assert torch.equal(of_all[key][one], values), key


@fits
def test_predict_undoes_the_scaling_of_the_target(name: str, case: str, prepared: Prepared) -> None:
    task, target = made(name, case, prepared(case))
    spec = task.spec
    if spec.kind == "class":
        sure = task.predict(30.0 * perfect(task, target))
        torch.testing.assert_close(sure, perfect(task, target), rtol=0, atol=1e-5)
    else:
        scaled = standardized(spec, perfect(task, target))
        undone = task.predict(scaled)
        torch.testing.assert_close(undone, perfect(task, target), rtol=1e-5, atol=1e-4)


@fits
def test_decoded_predictions_say_the_truth_in_a_readable_row_each(
    name: str, case: str, prepared: Prepared
) -> None:
    task, target = made(name, case, prepared(case))
    table = task.decode(perfect(task, target))
    assert list(table.index) == list(range(len(target)))
    if task.spec.kind == "class":
        assert table["label"].tolist() == [task.spec.labels[code] for code in target.tolist()]
    else:
        said = table.to_numpy(float).ravel().tolist()
        assert said == pytest.approx(perfect(task, target).flatten().tolist())


@fits
def test_the_scores_of_an_epoch_do_not_depend_on_the_batches(
    name: str, case: str, prepared: Prepared
) -> None:
    task, target = made(name, case, prepared(case))
    guess = spoiled(task, target, 0.3)
    losses = torch.arange(len(target)).float()
    rows = []
    for size in (7, len(target)):
        task._results["val"].clear()
        parts = (guess.split(size), target.split(size), losses.split(size))
        for part, truth, loss in zip(*parts, strict=True):
            result = StepResult(0, 0, loss, task.units(truth), statistics(task, part, truth))
            task._results["val"].add(result)
        rows.append(task.reduce("val"))
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)
    mean = float(losses.sum() / task.units(target).sum())  # of all units, not of samples
    assert rows[0]["val/loss"] == pytest.approx(mean, rel=1e-5)


@fits
def test_what_is_asked_for_is_said_in_a_few_words(name: str, case: str, prepared: Prepared) -> None:
    task, _ = made(name, case, prepared(case))
    asked = task.asked
    assert asked.strip() == asked, f"{name} on {case}: asked is {asked!r}, with blanks around it"
    assert asked.isprintable(), f"{name} on {case}: asked is {asked!r}, which is no single line"
    assert 0 < len(asked) <= 30, f"{name} on {case}: asked is {asked!r}, of {len(asked)} letters"


@fits
def test_trivial_answers_are_finite_and_have_the_form_of_predictions(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, train = made(name, case, folder)
    inputs = {key: array[:FEW] for key, array in inputs_of(folder).items()}
    trivial = task.trivial({"target": train.numpy()}, inputs, FEW)
    assert trivial, f"{name} on {case} has no trivial answer"

    task.eval()
    with torch.no_grad():
        output = task(**{key: torch.from_numpy(array.copy()) for key, array in inputs.items()})
    prediction = task.predict(output)
    for title, answer in trivial.items():
        said = f"{name} on {case}, '{title}'"
        assert answer.shape == tuple(prediction.shape), f"{said}: not the shape of a prediction"
        assert np.isfinite(answer).all(), f"{said}: holds what is no finite number"
        if task.spec.kind == "class":
            assert answer.min() >= 0, f"{said}: holds negative probabilities"
            assert answer.sum(1) == pytest.approx(1.0), f"{said}: rows do not sum to one"


@fits
def test_trivial_answers_depend_on_targets_of_train_and_inputs_alone(
    name: str, case: str, prepared: Prepared
) -> None:
    """Neither on weights, nor on chance, nor on what else is asked at the same time."""
    folder = prepared(case)
    task, train = made(name, case, folder)
    inputs = inputs_of(folder)
    seed(0)
    first = task.trivial({"target": train.numpy()}, inputs, len(train))

    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.fill_(math.nan)
    seed(1)
    again = task.trivial({"target": train.numpy()}, inputs, len(train))
    fewer = task.trivial(
        {"target": train.numpy()}, {key: array[:3] for key, array in inputs.items()}, 3
    )

    assert list(again) == list(fewer) == list(first), f"{name} on {case}: other titles"
    for title, answer in first.items():
        said = f"{name} on {case}, '{title}'"
        assert np.array_equal(again[title], answer), f"{said}: depends on weights or on chance"
        assert np.array_equal(fewer[title], answer[:3]), f"{said}: depends on other samples"


@fits
@pytest.mark.parametrize("error", [0.0, 0.3])
def test_charts_can_be_stored_and_drawn(
    name: str, case: str, error: float, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, target = made(name, case, folder)
    methods = {
        "network": statistics(task, spoiled(task, target, error), target),
        "strong baseline": statistics(task, spoiled(task, target, 0.2), target),
    }
    trivial = task.trivial({"target": target.numpy()}, inputs_of(folder), len(target))
    for title, answer in trivial.items():
        prediction = torch.from_numpy(np.asarray(answer, np.float32))
        methods[title] = statistics(task, prediction, target)
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
    task, target = made(name, case, prepared(case))
    right = {answer.wrong for answer in answers(task, perfect(task, target), target)}
    wrong = {answer.wrong for answer in answers(task, spoiled(task, target, 1.0), target)}
    near_or_far = (right, wrong) == ({None}, {None})
    if task.spec.kind == "class" or not near_or_far:
        assert right == {False}, f"{name} on {case}: a perfect answer has wrong={right}"
        assert wrong == {True}, f"{name} on {case}: a spoiled answer has wrong={wrong}"


@fits
def test_an_answer_says_something_and_survives_json(
    name: str, case: str, prepared: Prepared
) -> None:
    task, target = made(name, case, prepared(case))
    for answer in answers(task, spoiled(task, target, 0.3), target):
        assert answer.statements or answer.curves, f"{name} on {case}: an answer is empty"
        text = json.dumps(answer.to_json(), allow_nan=False)
        back = Answer.of(json.loads(text), Path("answer.json"))
        assert back == answer, f"{name} on {case}: JSON makes {back} of {answer}"

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

import answers
import numpy as np
import pytest
import tiny
import torch
from answers import Targets, arrays_of, at, count, perfect, spoiled, targets_of
from torch import Tensor

from goodfit import build
from goodfit.contract import PAD, DataSpec
from goodfit.errors import UserError
from goodfit.evaluation.degenerate import degenerate
from goodfit.predictor import Predictor
from goodfit.records import Answer, Chart
from goodfit.reporting import error_charts
from goodfit.store.arrays import Packed
from goodfit.task.base import Task
from goodfit.task.epoch import score_rows, totals
from goodfit.task.kept import Samples

Prepared = Callable[[str], Path]
# a share is best at one, an error at zero
BEST = {"r2": 1.0, "accuracy": 1.0, "f1": 1.0, "auroc": 1.0, "map": 1.0, "ap50": 1.0}
BEST |= {"chrf": 100.0, "bleu": 100.0, "exact": 1.0}
FEW = 20  # samples, where each is looked at by itself


def pairs() -> list[tuple[str, str]]:
    """Every task with every data set that it fits and some network takes."""
    fitting = []
    for name in tiny.names("task"):
        for case in tiny.cases():
            if name in tiny.tasks(case) and tiny.models(case, name):
                fitting.append((name, case))
    return fitting


def is_additive(name: str) -> bool:
    """Whether a task's scores are functions of sums."""
    return bool(tiny.constants(tiny.section("task", name))["additive"])


fits = pytest.mark.parametrize(("name", "case"), pairs())


def made(name: str, case: str, folder: Path) -> tuple[Task, Targets]:
    """A task with its network, and the targets of train."""
    spec = DataSpec.read(folder / "spec.json")
    task = build.task(tiny.cfg(case, task=name), spec)
    return task, targets_of(folder)


def score_all(task: Task, prediction: Tensor, targets: Targets) -> dict[str, float]:
    """Every score of the task."""
    of_samples = task.statistics(prediction, **targets)
    return score_rows(task.metrics(), of_samples, additive=task.additive)


def seed(value: int) -> None:
    """Sets the generators that a task could draw from."""
    torch.manual_seed(value)
    np.random.seed(value)


def answered(task: Task, prediction: Tensor, targets: Targets) -> list[Answer]:
    """The answers for the first few samples."""
    rows = range(min(FEW, count(targets)))
    return [task.answer(prediction[row], **at(targets, row)) for row in rows]


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
    task, targets = made(name, case, prepared(case))
    scores = score_all(task, perfect(task, targets), targets)
    best = {title: BEST[title] if mode == "max" else 0.0 for title, mode in task.scores.items()}
    assert scores == pytest.approx(best, abs=1e-6)


@fits
def test_a_better_prediction_has_a_better_score(name: str, case: str, prepared: Prepared) -> None:
    task, targets = made(name, case, prepared(case))
    worse = score_all(task, spoiled(task, targets, 0.9), targets)
    better = score_all(task, spoiled(task, targets, 0.2), targets)
    for title, mode in task.scores.items():
        assert (better[title] > worse[title]) == (mode == "max"), title
        assert better[title] != worse[title], title


@fits
def test_a_perfect_prediction_scores_at_least_as_well_as_a_trivial_one(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, targets = made(name, case, folder)
    right = score_all(task, perfect(task, targets), targets)
    train, inputs = arrays_of(folder, "targets"), arrays_of(folder, "inputs")
    trivial = task.trivial(train, inputs, count(targets))
    for title, answer in trivial.items():
        scores = score_all(task, answers.tensor(answer), targets)
        for score, mode in task.scores.items():
            sign = 1 if mode == "max" else -1
            said = f"{name} on {case}: '{title}' has {score} {scores[score]}, truth {right[score]}"
            assert sign * right[score] >= sign * scores[score], said


@pytest.mark.parametrize(("name", "case"), [pair for pair in pairs() if is_additive(pair[0])])
def test_scores_of_many_sums_at_once_are_those_of_the_rows_of_each(
    name: str, case: str, prepared: Prepared
) -> None:
    """What the bootstrap of an additive task relies on."""
    task, targets = made(name, case, prepared(case))
    of_all = task.statistics(spoiled(task, targets, 0.3), **targets)
    sets = [torch.arange(0, count(targets), 3), torch.arange(FEW), torch.tensor([1, 1, 1, 4])]
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
    task, targets = made(name, case, prepared(case))
    output = answers.of(task).output(task, targets, 0.0)
    # along the numbers of a sample, of a cell or of a place
    numbers = 2 if task.output_form == "sequence" else 1
    shift = torch.linspace(0, 3, output.shape[numbers]) + 1
    shift = shift.reshape(-1, *[1] * (output.ndim - numbers - 1))
    near, far = (task.loss(said, **targets) for said in (output, output + shift))
    assert near.shape == far.shape == (count(targets),)
    assert float(near.mean()) < float(far.mean())


@fits
def test_a_sample_has_the_loss_units_and_statistics_that_it_has_alone(
    name: str, case: str, prepared: Prepared
) -> None:
    """In a batch of its own, and in one that is padded further."""
    folder = prepared(case)
    task, targets = made(name, case, folder)
    of_kind = answers.of(task)
    prediction = of_kind.spoiled(task, targets, 0.3)[:FEW]
    output = of_kind.output(task, targets, 0.3, sure=1.0)[:FEW]

    few = answers.longer(task, at(targets, slice(FEW)))
    whole = answers.as_long(task, output, few)
    together = (task.loss(whole, **few), task.units(**few))
    of_all = task.statistics(prediction, **few)
    watched = task.watch(whole, **few)
    for row in range(FEW):
        single = targets_of(folder, torch.tensor([row]))
        said = answers.as_long(task, output[row : row + 1], single)
        alone = (task.loss(said, **single), task.units(**single))
        for values, part in zip(together, alone, strict=True):
            torch.testing.assert_close(values[row : row + 1], part)
        for key, values in task.statistics(prediction[row : row + 1], **single).items():
            assert torch.equal(of_all[key][row : row + 1], values), key
        for key, values in task.watch(said, **single).items():
            torch.testing.assert_close(watched[key][row : row + 1], values)


@fits
def test_predict_undoes_the_scaling_of_the_target(name: str, case: str, prepared: Prepared) -> None:
    task, targets = made(name, case, prepared(case))
    said = task.predict(answers.of(task).output(task, targets, 0.0, sure=30.0))
    truth = perfect(task, targets)
    if task.spec.kind == "class":
        torch.testing.assert_close(said, truth, rtol=0, atol=1e-5)
    elif task.spec.kind == "boxes":
        # of boxes that are equally sure the order is open; what is not sure counts for nothing
        for found, boxes in zip(said, truth, strict=True):
            sure = sorted(found[found[:, 4] > 0.5].tolist())
            torch.testing.assert_close(
                torch.tensor(sure).reshape(-1, 6),
                torch.tensor(sorted(boxes[boxes[:, 4] > 0].tolist())).reshape(-1, 6),
                rtol=0,
                atol=1e-3,
            )
    else:
        torch.testing.assert_close(said, truth, rtol=1e-5, atol=1e-4)


@fits
def test_decoded_predictions_say_the_truth_in_a_readable_row_each(
    name: str, case: str, prepared: Prepared
) -> None:
    task, targets = made(name, case, prepared(case))
    table = task.decode(perfect(task, targets))
    truth = answers.of(task).readable(task, targets)
    assert list(table.index) == list(range(count(targets)))
    if task.spec.kind in ("number", "series"):
        said = table.to_numpy(float).ravel().tolist()
        assert said == pytest.approx(truth.to_numpy(float).ravel().tolist())
    else:
        assert {column: table[column].tolist() for column in truth} == truth.to_dict("list")


@fits
def test_the_scores_of_an_epoch_do_not_depend_on_the_batches(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, targets = made(name, case, folder)
    of_kind = answers.of(task)
    guess = of_kind.spoiled(task, targets, 0.3)
    output = of_kind.output(task, targets, 0.3) if task.watched else guess
    losses = torch.arange(count(targets)).float()
    rows = []
    for size in (7, count(targets)):
        task._results["val"].clear()
        for part in torch.arange(count(targets)).split(size):
            truth = targets_of(folder, part)
            if task.watched:
                kept = task.watch(answers.as_long(task, output[part], truth), **truth)
            else:
                kept = task.statistics(guess[part], **truth)
            task._results["val"].add(Samples.of_step(0, 0, losses[part], task.units(**truth), kept))
        rows.append(task.reduce("val"))
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)
    mean = float(losses.sum() / task.units(**targets).sum())  # of all units, not of samples
    assert rows[0]["val/loss"] == pytest.approx(mean, rel=1e-5)


@fits
def test_what_is_asked_for_is_said_in_a_few_words(name: str, case: str, prepared: Prepared) -> None:
    task, _ = made(name, case, prepared(case))
    asked = task.asked
    assert asked.strip() == asked, f"{name} on {case}: asked is {asked!r}, with blanks around it"
    assert asked.isprintable(), f"{name} on {case}: asked is {asked!r}, which is no single line"
    assert 0 < len(asked) <= 30, f"{name} on {case}: asked is {asked!r}, of {len(asked)} letters"


@pytest.mark.fault(62)
@fits
def test_one_answer_for_everything_is_named(name: str, case: str, prepared: Prepared) -> None:
    task, targets = made(name, case, prepared(case))
    right = perfect(task, targets)
    assert task.same_answer(right) is None, f"{name} on {case}: different answers"
    rows = torch.zeros(len(right), dtype=torch.long)
    assert task.same_answer(right[rows]), f"{name} on {case}: one answer for all"


@pytest.mark.fault(62)
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

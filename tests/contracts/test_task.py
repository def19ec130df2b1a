"""What every task must do, with every data set that it fits.

Scores have the right direction, and a person can read predictions.
"""

from __future__ import annotations

import answers
import pytest
import tiny
import torch
from answers import Targets, arrays_of, at, count, perfect, spoiled, targets_of
from task_pairs import FEW, Prepared, fits, made, pairs
from torch import Tensor

from goodfit.task.base import Task
from goodfit.task.epoch import score_rows, totals
from goodfit.task.kept import Samples
from goodfit.training.lightning_task import LightningTask

# a share is best at one, an error at zero
BEST = {"r2": 1.0, "accuracy": 1.0, "f1": 1.0, "auroc": 1.0, "map": 1.0, "ap50": 1.0}
BEST |= {
    "kappa": 1.0,
    "f1_micro": 1.0,
    "f1_macro": 1.0,
    "balanced_accuracy": 1.0,
    "average_precision": 1.0,
}
BEST |= {"chrf": 100.0, "bleu": 100.0, "exact": 1.0}


def is_additive(name: str) -> bool:
    """Whether a task's scores are functions of sums."""
    return bool(tiny.constants(tiny.section("task", name))["additive"])


def score_all(task: Task, prediction: Tensor, targets: Targets) -> dict[str, float]:
    """Every score of the task."""
    of_samples = task.statistics(prediction, **targets)
    return score_rows(task.metrics(), of_samples, additive=task.additive)


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
    if task.spec.kind in ("number", "numbers", "count", "series"):
        ends = [name for name in table if name.startswith(("low", "high"))]
        numbers = table.drop(columns=ends)  # the ends of an interval beside them
        said = numbers.to_numpy(float).ravel().tolist()
        assert said == pytest.approx(truth.to_numpy(float).ravel().tolist())
    else:
        assert {column: table[column].tolist() for column in truth} == truth.to_dict("list")


@fits
def test_the_scores_of_an_epoch_do_not_depend_on_the_batches(
    name: str, case: str, prepared: Prepared
) -> None:
    folder = prepared(case)
    task, targets = made(name, case, folder)
    of_kind, module = answers.of(task), LightningTask(task)
    guess = of_kind.spoiled(task, targets, 0.3)
    output = of_kind.output(task, targets, 0.3) if task.watched else guess
    losses = torch.arange(count(targets)).float()
    rows = []
    for size in (7, count(targets)):
        module._results["val"].clear()
        for part in torch.arange(count(targets)).split(size):
            truth = targets_of(folder, part)
            if task.watched:
                kept = task.watch(answers.as_long(task, output[part], truth), **truth)
            else:
                kept = task.statistics(guess[part], **truth)
            units = task.units(**truth)
            module._results["val"].add(Samples.of_step(0, 0, losses[part], units, kept))
        rows.append(module.reduce("val"))
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

"""What every task must do: its scores have the right direction, and a person can read its
predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.store.arrays import Packed
from goodfit.task.base import StepResult, Task

Prepared = Callable[[str], Path]
BEST = {
    "r2": 1.0,
    "accuracy": 1.0,
    "f1": 1.0,
    "auroc": 1.0,
}  # a share is best at one, an error at zero
WITH = [
    (task, case) for task in tiny.names("task") for case in tiny.cases() if task in tiny.tasks(case)
]
fits = pytest.mark.parametrize(("task", "case"), [pair for pair in WITH if tiny.models(pair[1])])


def made(task: str, case: str, folder: Path) -> tuple[Task, Tensor]:
    spec = DataSpec.read(folder / "spec.json")
    return build.task(tiny.cfg(case, task=task), spec), Packed(folder, "train").target


def perfect(task: Task, target: Tensor) -> Tensor:
    """The prediction that says the truth."""
    if task.spec.kind == "class":
        return torch.nn.functional.one_hot(target, task.spec.outputs).float()
    return target.clone()


def spoiled(task: Task, target: Tensor, share: float) -> Tensor:
    """The truth mixed with what is as wrong as can be."""
    right = perfect(task, target)
    wrong = (
        right.roll(1, -1)
        if task.spec.kind == "class"
        else right + 10 * task.spec.target.std * right.flip(0).sign()
    )
    return (1 - share) * right + share * wrong


@pytest.mark.parametrize("task", tiny.names("task"))
def test_some_data_set_has_its_kind_of_target(task: str) -> None:
    assert any(task in tiny.tasks(case) for case in tiny.cases())


@fits
def test_scores_and_metrics_have_the_same_names(task: str, case: str, prepared: Prepared) -> None:
    found, _ = made(task, case, prepared(case))
    assert set(found.metrics()) == set(found.scores)


@fits
def test_a_perfect_prediction_gets_the_best_possible_score(
    task: str, case: str, prepared: Prepared
) -> None:
    found, target = made(task, case, prepared(case))
    scores = {
        name: float(score(perfect(found, target), target))
        for name, score in found.metrics().items()
    }
    best = {name: BEST[name] if mode == "max" else 0.0 for name, mode in found.scores.items()}
    assert scores == pytest.approx(best, abs=1e-6)


@fits
def test_a_better_prediction_has_a_better_score(task: str, case: str, prepared: Prepared) -> None:
    found, target = made(task, case, prepared(case))
    for name, score in found.metrics().items():
        worse, better = (
            float(score(spoiled(found, target, share), target)) for share in (0.9, 0.2)
        )
        assert (better > worse) == (found.scores[name] == "max"), name
        assert better != worse, name


@fits
def test_the_loss_is_less_for_an_output_nearer_to_the_truth(
    task: str, case: str, prepared: Prepared
) -> None:
    found, target = made(task, case, prepared(case))
    spec = found.spec
    if spec.kind == "class":
        output = 4 * perfect(found, target)
    else:
        output = ((target - spec.target.mean) / spec.target.std).reshape(len(target), -1)
        output = output if spec.kind == "series" else output[:, :1]
    losses = [
        float(found.loss(output + shift, target))
        for shift in (0.0, torch.linspace(0, 3, output.shape[1]) + 1)
    ]
    assert losses[0] < losses[1]


@fits
def test_predict_undoes_the_scaling_of_the_target(task: str, case: str, prepared: Prepared) -> None:
    found, target = made(task, case, prepared(case))
    spec = found.spec
    if spec.kind == "class":
        sure = found.predict(30.0 * perfect(found, target))
        torch.testing.assert_close(sure, perfect(found, target), rtol=0, atol=1e-5)
    else:
        scaled = ((target - spec.target.mean) / spec.target.std).reshape(len(target), spec.outputs)
        torch.testing.assert_close(found.predict(scaled), target, rtol=1e-5, atol=1e-4)


@fits
def test_decoded_predictions_say_the_truth_in_a_readable_row_each(
    task: str, case: str, prepared: Prepared
) -> None:
    found, target = made(task, case, prepared(case))
    table = found.decode(perfect(found, target))
    assert list(table.index) == list(range(len(target)))
    if found.spec.kind == "class":
        assert table["label"].tolist() == [found.spec.labels[code] for code in target.tolist()]
    else:
        assert table.to_numpy(float).ravel().tolist() == pytest.approx(target.flatten().tolist())


@fits
def test_the_scores_of_an_epoch_do_not_depend_on_the_batches(
    task: str, case: str, prepared: Prepared
) -> None:
    found, target = made(task, case, prepared(case))
    guess = spoiled(found, target, 0.3)
    rows = []
    for size in (7, len(target)):
        found._results["val"].clear()
        for part, truth in zip(guess.split(size), target.split(size), strict=True):
            found._results["val"].append(StepResult(0, 0, part, truth, torch.ones(1)))
        rows.append(found.reduce("val"))
    assert rows[0] == pytest.approx(rows[1], rel=1e-5)

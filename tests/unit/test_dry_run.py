"""What a task's methods give each other is known before a training: in a sentence, exit code 2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_tasks import (
    NUMBER,
    NUMBER_PARTS,
    PARTS,
    SEVERAL,
    TEXT,
    Gaussian,
    Line,
    Several,
    Speller,
    Spelling,
)
from torch import Tensor, nn

from goodfit.contract import DataSpec, Field
from goodfit.errors import UserError
from goodfit.task.base import Task
from goodfit.task.dry_run import dry_run
from goodfit.task.regression import Regression
from goodfit.task.scores import Score, Statistics

FORMS = [(Gaussian, NUMBER, Line), (Several, SEVERAL, Line), (Spelling, TEXT, Speller)]


LEARNED = {"number": 1, "labels": SEVERAL.outputs, "text": 1}


def spelled(numbers: Tensor) -> Tensor:
    """Two words, by the sign of the first number, (B, T)."""
    words = torch.tensor([[1, 2, 3, 4, 5], [6, 5, 4, 3, 2]])
    return words[(numbers[:, 0] > 0).long()]


def build(task: type[Task], spec: DataSpec, network: Any = Line) -> tuple[Task, int]:
    """A task with its network, which has the outputs that the task wants."""
    outputs = task.outputs(spec)
    parts = NUMBER_PARTS if issubclass(task, Regression) else PARTS
    return task(network(replace(spec, outputs=outputs)), spec, **parts), outputs


class MeanLoss(Regression):
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return super().loss(output, target).mean()


class OneUnit(Regression):
    def units(self, target: Tensor) -> Tensor:
        return torch.ones(())


class NoRows(Regression):
    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        return {"error": (prediction - target).sum()}


class Pairs(Gaussian):
    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        return super().statistics(prediction @ torch.ones(3, 3), target)


class ScoreOfAll(Gaussian):
    def metrics(self) -> dict[str, Score]:
        return super().metrics() | {"rmse": lambda sums: sums["squared"].mean()}


class ScoreOfEach(Regression):
    def metrics(self) -> dict[str, Score]:
        return super().metrics() | {"mae": lambda rows: rows["prediction"]}


class Undeclared(Regression):
    scores = {"rmse": "min"}  # noqa: RUF012


class NotWatched(Spelling):
    watched = {"perplexity": "min"}  # noqa: RUF012


class Narrow(nn.Module):
    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        out: Tensor = self.line(numbers)
        return out


@pytest.mark.parametrize(("task", "spec", "network"), FORMS)
def test_tasks_of_other_forms_pass(task: type[Task], spec: DataSpec, network: Any) -> None:
    dry_run(*build(task, spec, network))


@pytest.mark.parametrize(
    ("task", "spec", "network", "message"),
    [
        (MeanLoss, NUMBER, Line, r"task MeanLoss: loss gives \(\), expected \(2,\), one for each"),
        (OneUnit, NUMBER, Line, r"task OneUnit: units gives \(\), expected \(2,\), one for each"),
        (NoRows, NUMBER, Line, r"task NoRows: statistic error is \(\), expected \(2, \.\.\.\)"),
        (
            Pairs,
            NUMBER,
            Line,
            r"task Pairs: predict gives \(2, 2\), statistics cannot take it: mat1 and mat2",
        ),
        (
            ScoreOfAll,
            NUMBER,
            Line,
            r"score rmse gives \(\), expected \(2,\), one for each set of sums",
        ),
        (ScoreOfEach, NUMBER, Line, r"score mae gives \(2,\), expected \(\), a single number"),
        (Undeclared, NUMBER, Line, r"metrics has \['mae', 'r2', 'rmse'\], expected \['rmse'\]"),
        (NotWatched, TEXT, Speller, r"watch_metrics has \['tokens'\], expected \['perplexity'\]"),
        (Gaussian, NUMBER, Narrow, r"Narrow gives \(2, 1\), task Gaussian expects \(2, 2\)"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(
    task: type[Task], spec: DataSpec, network: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        dry_run(*build(task, spec, network))
    assert len(str(error.value).splitlines()) == 1


class Bag(nn.Module):
    """Sums over a ragged input (B, L), which is all that the network takes."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.line = nn.Linear(1, spec.outputs)

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.line(values.sum(1, keepdim=True))
        return out


class Labelled(Several):
    """A label for each element of a ragged target, and of each sample a sum over them."""

    def loss(self, output: Tensor, target: Tensor, target_length: Tensor) -> Tensor:
        return super().loss(output[:, :1].expand_as(target), target)

    def units(self, target: Tensor, target_length: Tensor) -> Tensor:
        return target_length.float()

    def statistics(self, prediction: Tensor, target: Tensor, target_length: Tensor) -> Statistics:
        rows = super().statistics(prediction[:, :1].expand_as(target), target)
        return {name: values.sum(1, keepdim=True) for name, values in rows.items()}


class Unfixed(Labelled):
    def statistics(self, prediction: Tensor, target: Tensor, target_length: Tensor) -> Statistics:
        return dict.fromkeys(("hits", "said", "true"), target)


def test_a_statistic_that_is_not_fixed_in_size_is_named() -> None:
    inputs = {"values": Field((None,), "float32")}  # type: ignore[arg-type, unused-ignore]
    ragged = Field((None,), "float32")  # type: ignore[arg-type, unused-ignore]
    spec = replace(SEVERAL, inputs=inputs, targets={"target": ragged})
    dry_run(*build(Labelled, spec, Bag))
    message = (
        r"task Unfixed: statistic hits is \(2, 3\) for samples of length 3 and \(2, 2\) for those "
        "of length 2; expected a fixed size"
    )
    with pytest.raises(UserError, match=message):
        dry_run(*build(Unfixed, spec, Bag))


@pytest.mark.parametrize(("task", "spec", "network"), FORMS)
def test_nothing_random_is_drawn_and_the_mode_stays(
    task: type[Task], spec: DataSpec, network: Any
) -> None:
    made, outputs = build(task, spec, network)
    before = torch.get_rng_state()
    dry_run(made, outputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert made.training
    assert all(parameter.grad is None for parameter in made.parameters())


@pytest.mark.parametrize(("task", "spec", "network"), FORMS)
def test_sixteen_samples_are_learned_by_heart(
    task: type[Task], spec: DataSpec, network: Any
) -> None:
    torch.manual_seed(0)
    made, _ = build(task, spec, network)
    numbers = torch.randn(16, 3)
    clear = (numbers @ torch.randn(3, LEARNED[spec.kind])).squeeze(1)
    targets = {"number": clear, "labels": (clear > 0).float(), "text": spelled(numbers)}
    batch = {"numbers": numbers}, {"target": targets[spec.kind]}
    optimizer = torch.optim.Adam(made.parameters(), lr=0.1)
    losses = []
    for _ in range(300):
        loss = made.loss(made.run(*batch), **batch[1]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.8 * abs(losses[0])

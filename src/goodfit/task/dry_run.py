"""A batch of ones passes a task before anything is trained: what does not fit is told in a line.

Letters: B batch, of two samples here; R resampled test sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from goodfit.contract import LENGTH, Field
from goodfit.errors import UserError
from goodfit.task.base import Task
from goodfit.task.scores import Score, Statistics

_SAMPLES = 2
_LENGTHS = (3, 2)  # of ragged samples: what a task keeps of each must not depend on it
_REFUSALS = (RuntimeError, ValueError, LookupError, ArithmeticError, TypeError)
_Shape = tuple[int, ...] | str
_Shapes = dict[str, _Shape]  # of statistics, by name


def dry_run(task: Task, outputs: int) -> None:
    """Two samples of ones pass the network, whose `outputs` the task has chosen, and all methods.

    Without gradients and in evaluation mode: no random number is drawn, no statistics change.

    Raises:
        UserError: the network cannot take the data, or one of the task's methods gives what another
            one, or training, cannot take.
    """
    training = task.training
    fields = (*task.spec.inputs.values(), *task.spec.targets.values())
    is_ragged = any(field.is_ragged for field in fields)
    try:
        task.eval()
        with torch.inference_mode():
            shapes = [_pass(task, outputs, length) for length in _LENGTHS[: 1 + is_ragged]]
    finally:
        task.train(training)
    _check_fixed(_title(task), shapes)


def _pass(task: Task, outputs: int, length: int) -> _Shapes:
    """The shapes of the statistics of two samples, which are of `length` where they are ragged."""
    title = _title(task)
    given = ones(task.spec.inputs, length)
    inputs = {name: given[name] for name in task.inputs}
    targets = ones(task.spec.targets, length)

    output = _run(task, outputs, inputs, targets)
    with _explained(f"{title}: loss cannot take {_shape(output)}"):
        loss = task.loss(output, **targets)
    _check_one_each(f"{title}: loss gives", loss)
    with _explained(f"{title}: units fails"):
        units = task.units(**targets)
    _check_one_each(f"{title}: units gives", units)

    method = "infer" if task.feeds else "predict"
    with _explained(f"{title}: {method} cannot take {_shape(output)}"):
        prediction = task.infer(inputs) if task.feeds else task.predict(output)
    with _explained(f"{title}: {method} gives {_shape(prediction)}, statistics cannot take it"):
        statistics = task.statistics(prediction, **targets)
    _check_scores(task, "metrics", statistics, task.metrics(), task.scores)
    if not task.watched and not task.feeds:
        return _shapes(statistics)

    with _explained(f"{title}: watch cannot take {_shape(output)}"):
        watched = task.watch(output, **targets)
    declared = task.watched or task.scores
    _check_scores(task, "watch_metrics", watched, task.watch_metrics(), declared)
    return _shapes(statistics) | _shapes(watched)


def _run(task: Task, outputs: int, inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Any:
    """The network's output (B, ...), which has `outputs` numbers where it is a table."""
    network = type(task.model).__name__
    with _explained(f"{network} cannot take these data"):
        output = task.run(inputs, targets)
    expected = (_SAMPLES, outputs)
    # of another width it might be broadcast against the target, without a word
    if isinstance(output, Tensor) and output.ndim == 2 and output.shape != expected:
        raise UserError(f"{network} gives {_shape(output)}, {_title(task)} expects {expected}")
    return output


def _check_one_each(claim: str, values: Any) -> None:
    """Values of samples are (B,)."""
    if _shape(values) != (_SAMPLES,):
        raise UserError(f"{claim} {_shape(values)}, expected ({_SAMPLES},), one for each sample")


def ones(fields: Mapping[str, Field], length: int) -> dict[str, Tensor]:
    """Two samples of ones of each array (B, ...), of `length` where they are ragged.

    Where a field names classes, of zeros: of a single class, there is no other number.
    """
    arrays = {}
    for name, field in fields.items():
        shape = field.sized(length)
        fill = torch.zeros if field.labels else torch.ones
        arrays[name] = fill(_SAMPLES, *shape, dtype=getattr(torch, field.dtype))
        if field.is_ragged:
            arrays[f"{name}{LENGTH}"] = torch.full((_SAMPLES,), length)
    return arrays


def _check_scores(
    task: Task,
    method: str,
    statistics: Statistics,
    metrics: Mapping[str, Score],
    named: Mapping[str, str],
) -> None:
    """Statistics have a row for each sample, and each score of them is a number."""
    title = _title(task)
    for name, values in statistics.items():
        if _shape(values)[:1] != (_SAMPLES,):
            raise UserError(
                f"{title}: statistic {name} is {_shape(values)}, expected ({_SAMPLES}, ...), "
                "a row for each sample"
            )
    if set(metrics) != set(named):
        raise UserError(
            f"{title}: {method} has {sorted(metrics)}, expected {sorted(named)}, whose directions "
            "are declared"
        )

    # as sums of as many test sets, of a sample each
    given = {name: values.double() for name, values in statistics.items()}
    for name, score in metrics.items():
        with _explained(f"{title}: score {name} fails on statistics {_shapes(statistics)}"):
            value = score(given if task.additive else statistics)
        expected = (_SAMPLES,) if task.additive else ()
        if _shape(value) != expected:
            what = "one for each set of sums" if task.additive else "a single number"
            raise UserError(
                f"{title}: score {name} gives {_shape(value)}, expected {expected}, {what}"
            )


def _check_fixed(title: str, shapes: list[_Shapes]) -> None:
    """Statistics of samples of another length have the same shapes."""
    for name, first in shapes[0].items():
        for length, others in zip(_LENGTHS, shapes, strict=False):
            if others[name] != first:
                raise UserError(
                    f"{title}: statistic {name} is {first} for samples of length {_LENGTHS[0]} and "
                    f"{others[name]} for those of length {length}; expected a fixed size"
                )


@contextmanager
def _explained(claim: str) -> Iterator[None]:
    """Raises UserError, which begins with `claim`, where the block fails."""
    try:
        yield
    except UserError:
        raise
    except _REFUSALS as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{claim}: {reason}") from error


def _title(task: Task) -> str:
    return f"task {type(task).__name__}"


def _shapes(statistics: Statistics) -> _Shapes:
    return {name: _shape(values) for name, values in statistics.items()}


def _shape(values: Any) -> _Shape:
    """The shape of a tensor; the type of anything else."""
    return tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__

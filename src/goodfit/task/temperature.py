"""The temperature that makes probabilities right as often as they say (Guo et al. 2017).

Logits are divided by one number, fitted on validation once the weights are chosen: above 1 for a
network that is too sure of itself, below 1 for one that is not sure enough.

Letters: B batch, N samples of validation, K classes, P answers of a sample, M = N * P of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.metrics import weighted, weighted_arrays
from goodfit.records import Chart
from goodfit.task.base import Partial, Task
from goodfit.task.diagnostics import calibration
from goodfit.task.scores import Statistics, weight_of

_MOST = 20.0  # a temperature lies between this and its inverse
_GOLDEN = (math.sqrt(5) - 1) / 2
_HALVINGS = 40  # of the range by the golden section: to a hundred millionth
_GAIN = 1.0  # nats that a fitted number costs (Akaike 1974)
_LEAST = 1e-12  # probability of the truth in a log loss, as in goodfit.metrics
_LEAST_LOG = -700.0  # exp of it is still above 0 in float64

LogProbabilities = Callable[[float], Tensor]  # (M, K), of the inverse of a temperature


class Tempered(Task):
    """A task whose probabilities come from logits that a temperature divides, kept as a buffer.

    In training it is 1. One temperature serves all classes and labels: one for each would be fitted
    on the few samples that a rare one has.
    """

    calibrates = True
    may_lack = ("temperature",)  # a file from before there was one: it divided by 1

    temperature: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.register_buffer("temperature", torch.ones(()))

    @abstractmethod
    def logits(self, output: Tensor) -> Tensor:
        """What the temperature divides, (B, ...), of outputs (B, ...)."""

    @abstractmethod
    def logits_of(self, probability: Tensor) -> Tensor:
        """The same of probabilities (B, K), as another method gives them."""

    @abstractmethod
    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Of every class of every answer (M, K), of logits (N, ...)."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """What is answered, (B, K), of logits (B, ...)."""

    def tempered(self, logits: Tensor) -> Tensor:
        """Logits (B, ...) over the temperature; in training as they are."""
        return logits if self.training else logits / self.temperature

    def uncalibrated(self, output: Tensor, **targets: Tensor) -> Statistics:
        """The logits (B, ...) of outputs (B, ...), and targets: no probability tells 40 from 50."""
        known = self.statistics(self.predict(output), **targets)
        return {"logits": self.logits(output), "target": known["target"]}

    def calibrate(self, validation: Statistics) -> None:
        """The temperature of the least log loss, of logits or probabilities and targets (N, ...).

        Raises:
            UserError: logits are not finite.
        """
        logits, target = self._known(validation).double(), validation["target"].cpu()
        bad = int((~logits.isfinite()).flatten(1).any(1).sum())
        if bad:
            raise UserError(
                f"{bad} of {len(logits)} samples of validation have logits that are not finite "
                "numbers: no temperature can be fitted; train with a smaller optimizer.lr"
            )
        answers = target.numel() // len(target)
        fitted = fit(
            lambda inverse: self.log_probabilities(logits * inverse),
            target.flatten().long(),
            weight_of(validation),
            answers,
        )
        self.temperature = torch.tensor(fitted)

    def recalibrated(self, prediction: Tensor) -> Tensor:
        """Probabilities (B, K) of another method over the temperature that was fitted for it."""
        return self._rescaled(prediction, float(self.temperature))

    def reliability(
        self, statistics: Statistics, answered: Callable[[Tensor], Tensor] = lambda given: given
    ) -> Chart:
        """Confidence and accuracy before and after, of probabilities and targets (N, ...) of test.

        `answered` makes probabilities (M, K) of one class each of those of `predict`.
        """
        probability, temperature = statistics["prediction"], float(self.temperature)
        target, weight = statistics["target"].flatten().long(), weight_of(statistics)
        answers = target.numel() // len(probability)
        weights = None if weight is None else weight.repeat_interleave(answers)
        stages = {"after": probability}
        if temperature != 1:
            stages["before"] = self._rescaled(probability, 1 / temperature)
        curves = [
            [name, calibration(answered(given), target, weights)] for name, given in stages.items()
        ]
        return Chart("reliability", "Calibration", {"temperature": temperature, "curves": curves})

    def _known(self, validation: Statistics) -> Tensor:
        if "logits" in validation:
            return validation["logits"].cpu()
        return self.logits_of(validation["prediction"].cpu())

    def _rescaled(self, probability: Tensor, temperature: float) -> Tensor:
        if temperature == 1:
            return probability
        logits = self.logits_of(probability.double()) / temperature
        return self.probabilities(logits).to(probability.dtype)


def fit(of: LogProbabilities, target: Tensor, weight: Tensor | None, answers: int = 1) -> float:
    """The temperature, a float32, of the least log loss on classes (M,) of validation.

    `of` gives the log probabilities (M, K) for the inverse of a temperature; in it the loss is
    convex, so a search by the golden section finds the minimum. One more sample, whose class is
    drawn evenly, counts among the N, each of `answers` ones (Laplace's rule): where all answers are
    right, a network may otherwise be as sure as can be. It is 1 where the log likelihood gains less
    than one nat, which is what a fitted number costs (Akaike 1974). With weights (N,), samples
    count by them, and the further one as one of `weighted_arrays.single`.
    """
    weights = torch.ones(len(target), dtype=torch.float64)
    if weight is not None:
        present = weight.cpu()
        single = weighted_arrays.single(present.numpy())
        weights = (weighted.wide(present) / single).repeat_interleave(answers)

    def losses(log_probability: Tensor) -> Tensor:
        return -log_probability.clamp_min(_LEAST_LOG).gather(1, target[:, None]).squeeze(1)

    def careful(exponent: float) -> float:
        log_probability = of(math.exp(exponent))
        guessed = -log_probability.clamp_min(_LEAST_LOG).mean(1)
        further = answers * (guessed * weights).sum() / weights.sum()
        return float((losses(log_probability) * weights).sum() + further)

    def loss(inverse: float) -> float:
        return float((losses(of(inverse)).clamp_max(-math.log(_LEAST)) * weights).sum())

    best = math.exp(_least(careful, math.log(_MOST)))
    temperature = float(torch.tensor(1 / best))
    return temperature if loss(1.0) - loss(1 / temperature) > _GAIN else 1.0


def _least(function: Callable[[float], float], reach: float) -> float:
    """Where a function that falls and then rises is least, between -reach and reach."""
    low, high = -reach, reach
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_HALVINGS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2

"""One training step for all tasks; a task says what loss, prediction and scores are.

Letters: B batch, N samples of an epoch or a split, K classes, T steps of the horizon. Outputs of a
network are (B, K) logits, (B, 1) numbers or (B, T) series; targets (B,), (B,) or (B, T).
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from goodfit.contract import FEATURES, DataSpec
from goodfit.errors import UserError
from goodfit.records import Answer, Chart
from goodfit.task.scores import Score, Statistics

Array = np.ndarray[Any, Any]
Partial = Callable[..., Any]  # a function that waits for its first argument


class Task(nn.Module):
    """A network with the meaning of its output; never looks into `batch.inputs`.

    `kinds` are the kinds of target that the task fits. `scores` gives the direction, "max" or
    "min", in which each score of predictions improves, and `ranges` the least and the most that it
    can be, any number where it is not among them. `watched` does as `scores` for those of each
    epoch, where predictions cost too much for that; {} says that they are the same. `feeds` are
    arguments of the network's `forward` that the task itself gives in `run`, and `network_methods`
    what the network must have beside `forward`. `output_form` is the form of the output that the
    task reads, and a network that gives another one declares that: "row", (B, outputs), "map", (B,
    outputs, H, W), or "sequence", (B, T, outputs). A task that reads a row takes those of an
    ensemble, too: a network that declares "members" gives (B, M, outputs) for M of them
    (docs/decisions/0032). Scores of an `additive` task are functions of the sums of statistics over
    samples: an epoch then keeps a few numbers (docs/decisions/0024). A task that `mixes` takes
    means of the targets that `mixable` gives, as mixup makes them of labels.

    The arguments of `loss` behind `output` are the names of the targets, and `units`, `statistics`
    and `watch` take the same. A score of an epoch is computed once, from the statistics of all its
    samples, so it is exact (docs/decisions/0004).
    """

    kinds: ClassVar[tuple[str, ...]]
    scores: ClassVar[dict[str, str]]
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    watched: ClassVar[dict[str, str]] = {}
    feeds: ClassVar[tuple[str, ...]] = ()
    network_methods: ClassVar[tuple[str, ...]] = ()
    output_form: ClassVar[str] = "row"
    additive: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    # of the losses of test samples: at these a report shows samples beside the worst ones
    quantiles: ClassVar[tuple[float, ...]] = ()
    # whether `calibrate` learns something: it costs a pass over validation
    calibrates: bool = False
    # buffers that a file of weights from before them lacks: they stay as they are made
    may_lack: ClassVar[tuple[str, ...]] = ()
    # options that a model's configuration from before them lacks, and what it was trained with
    came_later: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        optimizer: Partial,  # of the network: some parameters it steps otherwise than others
        schedule: Partial,
    ) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        # of the data set's inputs those that the network takes: no other one is gathered
        takes = inspect.signature(model.forward).parameters
        self.inputs = tuple(name for name in spec.arguments(spec.inputs) if name in takes)
        self.monitor = monitor
        self.score = score
        self.optimizer = optimizer
        self.schedule = schedule
        self.has_members = getattr(model, "output_form", "row") == "members"

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        """How many numbers the network gives for a sample; `options` are those of conf/task."""
        return spec.outputs

    def run(self, inputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Any:
        """The output for the loss, (B, ...), of inputs and targets (B, ...).

        The network is given `targets` only by a task that `feeds` it. Of an ensemble it is (B, M,
        ...) in training, for `losses`.
        """
        output = self._network(inputs)
        return output if self.training else self.as_one(output)

    def infer(self, inputs: Mapping[str, Tensor]) -> Any:
        """The prediction (B, ...) of inputs (B, ...), in use and evaluation: without targets."""
        return self.predict(self.as_one(self._network(inputs)))

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of each sample (B,), summed over its units, of outputs and targets (B, ...)."""

    def merge(self, output: Tensor) -> Tensor:
        """The one output (B, K) that stands for those of M members, (B, M, K): their mean.

        Of numbers and quantiles its prediction is the mean of theirs.
        """
        return output.mean(1)

    def losses(self, output: Any, targets: Mapping[str, Tensor]) -> Tensor:
        """The loss of each sample (B,), of targets (B, ...) and an output as `run` gives it.

        In training that of an ensemble is the mean of its members' own: by the loss of their mean,
        they would learn to make up for each other.
        """
        if not (self.has_members and self.training):
            return self.loss(output, **targets)
        members = output.shape[1]
        of_each = {name: target.repeat_interleave(members, 0) for name, target in targets.items()}
        return self.loss(output.flatten(0, 1), **of_each).reshape(-1, members).mean(1)

    def units(self, target: Tensor) -> Tensor:
        """How much of each sample (B,) the mean loss counts, of targets (B, ...): 1 by default."""
        return torch.ones(len(target), device=target.device)

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Outputs (B, ...) in the target's unit: probabilities (B, K), numbers (B,), series (B, T).

        In float32, also where the network computes in 16 bits.
        """

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """All that scores need to know of each sample, by name: (B, ...), a few numbers.

        Of predictions and targets (B, ...); by default these themselves. How many numbers a sample
        has must not depend on the batch: what is ragged is reduced to sums.
        """
        return {"prediction": prediction, "target": target}

    def mixable(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Targets (B, ...) of which a weighed mean is a target, too: by default as they are."""
        return dict(targets)

    def watch(self, output: Tensor, **targets: Tensor) -> Statistics:
        """What `watch_metrics` need to know of each sample: (B, ...), of outputs (B, ...)."""
        return self.statistics(self.predict(output), **targets)

    def refused(self, targets: Mapping[str, Array]) -> dict[int, str]:
        """Samples of targets (N, ...) that the task can neither learn nor score, by number: why.

        By default none.
        """
        return {}

    def learn(self, train: Mapping[str, Array], *, held_out: int) -> None:
        """What the task itself takes from the targets of train (N, ...), before the first step.

        By default nothing. It is kept in buffers, which travel with checkpoints and the weights.
        Beside the targets stands `sample_weight` (N,), where samples do not count alike; as here,
        in `calibrate` and `trivial`. Validation, for `calibrate`, will tell as much as `held_out`
        samples.

        Raises:
            UserError: the task, as it is configured, does not suit these targets.
        """

    def uncalibrated(self, output: Tensor, **targets: Tensor) -> Statistics:
        """What `calibrate` needs to know of each sample: (B, ...), of outputs (B, ...).

        By default the statistics of its prediction.
        """
        return self.statistics(self.predict(output), **targets)

    def calibrate(self, validation: Statistics) -> None:
        """What the task takes from `uncalibrated` (N, ...) of validation, once weights are chosen.

        By default nothing. Kept in buffers, too; a task that does so says that it `calibrates`.
        Among the statistics are the independent units of samples (`scores.clusters_of`).
        """

    def calibrated(self, validation: Statistics) -> Self:
        """The same task for the answers of another method, by its statistics (N, ...).

        So a baseline has a threshold of its own, chosen as the network's was.
        """
        other = copy(self)
        other._buffers = dict(self._buffers)
        other.calibrate(validation)
        return other

    def recalibrated(self, prediction: Tensor) -> Tensor:
        """Predictions (B, ...) of that other method as a `calibrated` task scores them."""
        return prediction

    @abstractmethod
    def metrics(self) -> dict[str, Score]:
        """A function of statistics to a score for each of `scores`, by its name.

        Of statistics (N, ...) to (), where N is an epoch, a split or a resampled test set; among
        them is `sample_weight` (N,), where samples do not count alike. Of an `additive` task, of
        sums (R, ...) of R such sets to (R,), which are weighed.
        """

    def watch_metrics(self) -> dict[str, Score]:
        """The same for the scores of an epoch, of the statistics of `watch`, (N, ...) or (R, ...).

        By default those of `metrics`.
        """
        return self.metrics()

    @abstractmethod
    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Predictions (N, ...) as a table that a person can read, one row for each sample."""

    def same_answer(self, prediction: Tensor) -> str | None:
        """What a network that answers all samples alike says of each; None where answers differ.

        Of predictions (N, ...): 'good', a number, or by default that decoded they are the same.
        """
        decoded = self.decode(prediction).astype(str)
        return "the same" if len(decoded.drop_duplicates()) == 1 else None

    @property
    @abstractmethod
    def asked(self) -> str:
        """What the network is asked for, in a few words: "10 classes"."""

    @abstractmethod
    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """Predictions without a model, by name: a network that is worse has learned nothing.

        `train` (N, ...) are the targets of train, `inputs` (samples, ...) belong to the samples to
        answer. An answer has the form of `predict`, (samples, ...), and depends on nothing else.
        """

    @abstractmethod
    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """The numbers behind charts of where the network errs on test samples.

        `methods` holds the statistics (N, ...) of each method by its title: the network's first, as
        "network", then the strong baseline's, then the trivial ones'.
        """

    def typical(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Charts of samples that are neither the best nor the worst; none by default.

        The statistics (N, ...) are those of `diagnose`.
        """
        return []

    @abstractmethod
    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """Truth and prediction of one sample for a reader, from one row of (N, ...) each: (...)."""

    def forward(self, **inputs: Tensor) -> Tensor:
        """The network's raw output, (B, ...), of inputs (B, ...)."""
        output: Tensor = self.model(**inputs)
        return output

    def leave_out(self, score: str, needs: str) -> None:
        """As it is configured, the task has no such score.

        Raises:
            UserError: it is asked for, though it `needs` something.
        """
        for key in ("score", "monitor"):
            if getattr(self, key) == score:
                raise UserError(f"task.{key}={score} needs {needs}")
        self.scores = {  # type: ignore[misc]
            name: mode for name, mode in self.scores.items() if name != score
        }

    def mode(self, name: str) -> str:
        """The direction in which a score improves: "max" or "min"."""
        return "min" if name == "loss" else {**self.scores, **self.watched}[name]

    def _network(self, inputs: Mapping[str, Tensor]) -> Any:
        """The network's output (B, ...); its head's, where the rest was computed before."""
        if FEATURES in inputs:
            return self.model.answer(inputs[FEATURES])  # type: ignore[operator]
        return self.model(**inputs)

    def as_one(self, output: Any) -> Any:
        """A network's output (B, ...), of an ensemble that of all its members together."""
        return self.merge(output) if self.has_members else output

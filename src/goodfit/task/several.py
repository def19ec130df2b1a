"""Several numbers for each sample, each with a prediction interval of its own.

Letters: B batch, N samples of a split, T numbers of a sample: steps of a series, or targets.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.metrics.weighted import mean
from goodfit.records import Chart
from goodfit.schema import Share
from goodfit.task.base import Array, Partial, Task
from goodfit.task.conformal import chart_of_numbers, check_samples, interval_score, margin
from goodfit.task.scores import Score, Statistics, clusters_of, weight_of


class SeveralNumbers(Task):
    """Standard scores are learned, predictions (B, T) are in the units of the targets.

    With an `interval`, such as 0.9, so many samples lie between two bounds beside each number: its
    own distances on validation set the width (Lei et al. 2018, split conformal), so it grows along
    a horizon as errors do. The promise is for each number by itself: all T of a sample are between
    their bounds less often than that. Of several series each is scaled by its own deviation, and so
    is its interval.
    """

    came_later: ClassVar[dict[str, Any]] = {"interval": None}

    margins: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        interval: Share | None,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.interval = interval
        self.calibrates = interval is not None
        if interval is None:
            self.leave_out("interval_score", "task.interval, such as 0.9")
        else:
            # in deviations of train, beside standard scores
            self.register_buffer("margins", torch.zeros(spec.outputs))

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """What each of T numbers is called in an answer."""

    @abstractmethod
    def error_unit(self, like: Tensor) -> Tensor:
        """What errors (N, T) are divided by before their mean: (T,), or 1 for all."""

    def learn(self, train: Mapping[str, Array], *, held_out: int) -> None:
        """Nothing of the targets (N, T).

        Raises:
            UserError: validation is too small for the interval, or two columns of answers would
                have one name.
        """
        if self.interval is None:
            return
        check_samples(held_out, self.interval, "choose a smaller task.interval, or null for none")
        columns = [*self.names, *self._ends("low"), *self._ends("high")]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise UserError(
                f"answers would have two columns '{twice[0]}', a target and the end of an "
                "interval; rename the target, or set task.interval=null"
            )

    def calibrate(self, validation: Statistics) -> None:
        """How far from its prediction each number (N, T) is in so many of all samples."""
        if self.interval is None:
            return
        predicted, target = (validation[name].cpu() for name in ("prediction", "target"))
        _, std = self._scale(target)
        weight, clusters = weight_of(validation), clusters_of(validation)
        distances = ((predicted - target) / std).abs().unbind(1)
        margins = [margin(each, self.interval, weight, clusters) for each in distances]
        self.margins = torch.tensor(margins)

    def bounds(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """The lower and upper ends (N, T) of the intervals beside predictions (N, T)."""
        _, std = self._scale(prediction)
        half = self.margins.to(prediction.device) * std
        return prediction - half, prediction + half

    def units(self, target: Tensor) -> Tensor:
        """The numbers of each sample (B,), of (B, T): the loss is a mean over numbers."""
        return torch.full((len(target),), float(target.shape[1]), device=target.device)

    def watch(self, output: Tensor, **targets: Tensor) -> Statistics:
        """Numbers and targets (B, T): in training there is no interval yet, of outputs (B, T)."""
        return {"prediction": self.predict(output), "target": targets["target"]}

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Predictions and targets (B, T), and the mean interval score of each sample (B,)."""
        statistics = {"prediction": prediction, "target": target}
        if self.interval is not None:
            low, high = self.bounds(prediction)
            scores = interval_score(low, high, target, self.interval) / self.error_unit(target)
            statistics["interval_score"] = scores.mean(1)
        return statistics

    def metrics(self) -> dict[str, Score]:
        """Those of `watch_metrics`, and the mean interval score over samples and numbers."""
        scores = self.watch_metrics()
        if self.interval is not None:
            scores["interval_score"] = _mean_interval_score
        return scores

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """A column for each number of (N, T); with an `interval` also low_<name>, high_<name>."""
        table = pd.DataFrame(prediction.tolist(), columns=list(self.names))
        if self.interval is None:
            return table
        ends = [
            pd.DataFrame(values.tolist(), columns=self._ends(end))
            for end, values in zip(("low", "high"), self.bounds(prediction), strict=True)
        ]
        return pd.concat([table, *ends], axis=1)

    def coverage(self, network: Statistics, x_label: str) -> list[Chart]:
        """How often targets (N, T) of test lie in their intervals; nothing where there are none."""
        if self.interval is None:
            return []
        bounds, weight = self.bounds(network["prediction"]), weight_of(network)
        return [chart_of_numbers(bounds, network["target"], self.interval, weight, x_label=x_label)]

    def _ends(self, end: str) -> list[str]:
        """The columns of the lower or upper ends."""
        return [f"{end}_{name}" for name in self.names]

    def _scale(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Means and deviations (T,) of the targets in train, or one (1,) for all."""
        field = self.spec.targets["target"]
        return like.new_tensor(field.mean), like.new_tensor(field.std)


def _mean_interval_score(statistics: Statistics) -> Tensor:
    return mean(statistics["interval_score"], weight_of(statistics))

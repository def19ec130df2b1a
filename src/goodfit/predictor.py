"""A trained model is three files: all that predicts comes from them, and from nothing else.

Letters: N samples, B samples of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from goodfit import build
from goodfit.config import tree
from goodfit.config.check import check_model
from goodfit.config.older import with_later_options
from goodfit.contract import DataSpec
from goodfit.data.base import Encoded
from goodfit.data.faults import CellsError, Fault
from goodfit.errors import UserError
from goodfit.records import Training
from goodfit.store.arrays import Packed, collate, moved
from goodfit.store.loader import Batches
from goodfit.system.files import sha256
from goodfit.system.tensors import GrowingTensors, load_tensors, on_device
from goodfit.task import weights
from goodfit.task.base import Task
from goodfit.task.dry_run import ones
from goodfit.task.scores import Statistics, mean_loss, weight_of, with_clusters, with_weight

Tensors = dict[str, Tensor]  # (B, ...) each, by name
Encode = Callable[[pd.DataFrame, DataSpec], Mapping[str, Encoded]]
BATCH = 512  # samples a step without gradients: large enough that a step's overhead vanishes
_ENCODED, _MOST_BATCHES = 2**24, 16  # bytes of inputs that are encoded together, and batches
_FILES = ("config.yaml", "spec.json", "weights.pt")


@dataclass(frozen=True)
class SampleResults:
    """Of each sample, in the order of its rows: loss and units (N,), statistics (N, ...).

    Neither loss nor units are weighed; the weights of samples, if they have any, are a statistic.
    `watched` are the statistics (N, ...) of the scores of an epoch; none where they are the same.
    """

    loss: Tensor
    units: Tensor
    statistics: Statistics
    watched: Statistics

    @property
    def mean_loss(self) -> float:
        """The loss of the split: each unit counts alike, but for the weight of its sample."""
        weight = weight_of(self.statistics)
        if weight is None:
            return float(self.loss.sum() / self.units.sum())
        return float(mean_loss(self.loss * weight, self.units * weight))


class Predictor:
    """A model with its preprocessing: raw rows in, readable predictions out."""

    def __init__(self, task: Task, spec: DataSpec) -> None:
        self.task = task.eval()
        self.spec = spec

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Rebuilds the network from config.yaml and spec.json, and fills in the weights.

        Raises:
            UserError: a file is missing or is not what it should be, or the weights are not those
                that training wrote, or those of another network.
        """
        missing = [name for name in _FILES if not (folder / name).exists()]
        if missing:
            raise UserError(f"{folder} is not a trained model: it lacks {', '.join(missing)}")
        _check_weights(folder)

        cfg = with_later_options(tree.load(folder / "config.yaml"))
        check_model(cfg)
        spec = DataSpec.read(folder / "spec.json")

        task = build.task(cfg, spec)
        tensors = load_tensors(folder / "weights.pt")
        try:
            weights.load(task, tensors)
        except RuntimeError as error:  # names and shapes of all that differs, a line for each
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"{folder / 'weights.pt'} is of another network than config.yaml describes; "
                f"train again ({reason})"
            ) from None
        return cls(task, spec)

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Readable predictions for raw rows, with the columns that the data set takes.

        Raises:
            UserError: the rows are no data frame, or a column is missing.
            CellsError: cells hold what `encode` cannot take; rows are counted from 1.
        """
        if not isinstance(rows, pd.DataFrame):
            module = type(rows).__module__.partition(".")[0]
            got = f"{module}.{type(rows).__name__}".removeprefix("builtins.")
            raise UserError(f"the rows are of type {got}, expected pandas.DataFrame")
        data = build.data_class(self.spec)
        rows = data.received(rows, self.spec)
        return data.given(rows, self._answers(rows, data.encode), self.spec)

    def _answers(self, rows: pd.DataFrame, encode: Encode) -> pd.DataFrame:
        """A readable prediction for each row that `encode` takes.

        Raises:
            UserError: a column is missing.
            CellsError: cells hold what `encode` cannot take; rows are counted from 1.
        """
        if len(rows) == 0:
            encode(rows, self.spec)  # says which columns are missing
            return self.task.decode(self._prediction(ones(self.spec.inputs, 1))).iloc[:0]

        tables = []
        error: CellsError | None = None
        faults: list[Fault] = []
        at_once = self._at_once()
        for first in range(0, len(rows), at_once):
            part = rows.iloc[first : first + at_once]
            try:
                inputs = collate(encode(part, self.spec), self.spec.inputs)
            except CellsError as caught:
                error, faults = caught, faults + caught.behind(first)
            if error is None:
                tables += self._in_batches(inputs, len(part))
        if error is not None:
            raise CellsError(error.name, error.advice, faults)
        return pd.concat(tables, ignore_index=True)

    def predict_packed(self, data: Packed, rows: Tensor) -> Tensor:
        """Predictions (B, ...) for the samples at `rows` (B,) of a prepared split, on the CPU."""
        return self._prediction(data.only(self.task.inputs).batch(rows).inputs)

    @torch.inference_mode()
    def measure(self, data: Packed, size: int = BATCH, rows: Tensor | None = None) -> SampleResults:
        """What scores and the choice of examples need to know of a prepared split.

        Of its samples at `rows` (N,), or of all. `size` is the number of samples in a batch. An
        output of the network leaves no batch: of a text it would be a number for each word of the
        vocabulary and each place.
        """
        task, data = self.task, data.only(self.task.inputs)
        batches = Batches(data, size) if rows is None else map(data.batch, torch.split(rows, size))
        losses, statistics, watched = GrowingTensors(), GrowingTensors(), GrowingTensors()
        for batch in batches:
            inputs, targets = (moved(part, self._device) for part in (batch.inputs, batch.targets))
            output = task.run(inputs, targets)
            loss, units = task.loss(output, **targets), task.units(**targets)
            losses.append(on_device({"loss": loss, "units": units}, "cpu"))
            if task.watched:
                seen = with_weight(task.watch(output, **targets), batch.sample_weight)
                watched.append(on_device(seen, "cpu"))

            # fed with the truth, an output is no prediction
            prediction = task.infer(inputs) if task.feeds else task.predict(output)
            known = with_weight(task.statistics(prediction, **targets), batch.sample_weight)
            statistics.append(on_device(known, "cpu"))
        return SampleResults(
            **losses.tensors(),
            statistics=statistics.tensors(),
            watched=watched.tensors(),
        )

    def calibrate(self, validation: Packed, size: int = BATCH) -> None:
        """The task takes what it has to from a prepared split, in batches of `size`.

        Raises:
            UserError: it cannot be calibrated by these answers.
        """
        task, data = self.task, validation.only(self.task.inputs)
        statistics = GrowingTensors()
        for batch in Batches(data, size):
            inputs, targets = (moved(part, self._device) for part in (batch.inputs, batch.targets))
            # not around `calibrate`: a buffer that is made in this mode can never be learned with
            with torch.inference_mode():
                known = task.uncalibrated(task.run(inputs, targets), **targets)
                statistics.append(on_device(with_weight(known, batch.sample_weight), "cpu"))
        task.calibrate(with_clusters(statistics.tensors(), validation.clusters))

    def _at_once(self) -> int:
        """How many rows are encoded together: of a table, each column costs as much as many cells.

        Samples of different lengths are padded as their batch is.
        """
        fields = self.spec.inputs.values()
        if any(field.is_ragged for field in fields):
            return BATCH
        sizes = [math.prod(field.fixed_shape) * np.dtype(field.dtype).itemsize for field in fields]
        batches = _ENCODED // (BATCH * max(sum(sizes), 1))
        return BATCH * min(max(batches, 1), _MOST_BATCHES)

    def _in_batches(self, inputs: Tensors, count: int) -> list[pd.DataFrame]:
        """Readable predictions for inputs (`count`, ...), by batches as evaluation has them."""
        predictions = []
        for first in range(0, count, BATCH):
            batch = {name: values[first : first + BATCH] for name, values in inputs.items()}
            predictions.append(self._prediction(batch))
        # texts of one batch may be longer than those of another
        groups = groupby(predictions, lambda prediction: prediction.shape[1:])
        return [self.task.decode(torch.cat(list(group))) for _, group in groups]

    @torch.inference_mode()
    def _prediction(self, inputs: Tensors) -> Tensor:
        """The predictions (B, ...) of a batch, on the CPU, from what the task takes of `inputs`."""
        taken = {name: inputs[name] for name in self.task.inputs}
        prediction: Tensor = self.task.infer(moved(taken, self._device))
        return prediction.cpu()

    @property
    def _device(self) -> torch.device:
        return next(self.task.parameters()).device


def _check_weights(folder: Path) -> None:
    """The weights are those whose hash training wrote: torch.load says nothing of a flipped bit.

    A model that came without train.json is taken as it is.
    """
    file = folder / "weights.pt"
    facts = folder / "train.json"
    if facts.exists() and Training.read(facts).weights_sha256 != sha256(file):
        raise UserError(f"{file} fails its checksum: it is not what training wrote")

"""A trained model is three files: all that predicts comes from them, and from nothing else.

Letters: N samples, B samples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from goodfit import build
from goodfit.config import tree
from goodfit.config.check import check
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.records import Training
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches
from goodfit.system.files import sha256
from goodfit.system.tensors import load_tensors
from goodfit.task.base import Task

Inputs = dict[str, Tensor]  # (B, ...) each
BATCH = 512  # samples a step without gradients: large enough that a step's overhead vanishes
_FILES = ("config.yaml", "spec.json", "weights.pt")


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

        cfg = tree.load(folder / "config.yaml")
        check(cfg)
        spec = DataSpec.read(folder / "spec.json")

        task = build.task(cfg, spec)
        weights = load_tensors(folder / "weights.pt")
        try:
            task.model.load_state_dict(weights)
        except RuntimeError as error:  # names and shapes of all that differs, a line for each
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"{folder / 'weights.pt'} is of another network than config.yaml describes; "
                f"train again ({reason})"
            ) from None
        return cls(task, spec)

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Readable predictions for raw rows, with the columns that the data set's `encode` takes.

        Raises:
            UserError: a column is missing, or holds what `encode` cannot take.
        """
        arrays = build.data_class(self.spec).encode(rows, self.spec)
        inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
        outputs = self._outputs(_batches(inputs, len(rows)))
        return self.task.decode(self.task.predict(outputs))

    def on(self, data: Packed) -> Tensor:
        """Predictions (N, ...) for all samples of a prepared split, in its order, on the CPU."""
        return self.task.predict(self.raw_outputs(data))

    def raw_outputs(self, data: Packed, size: int = BATCH) -> Tensor:
        """The network's outputs (N, ...) for a prepared split, in its order, on the CPU.

        `size` is the number of samples in a batch.
        """
        return self._outputs(batch.inputs for batch in Batches(data, size))

    @torch.inference_mode()
    def _outputs(self, batches: Iterable[Inputs]) -> Tensor:
        """The network's outputs (N, ...), computed where its weights lie, on the CPU."""
        device = next(self.task.parameters()).device
        # those of a whole split are in memory at once, as scores need them (decision 0004)
        outputs = []
        for inputs in batches:
            moved = {name: array.to(device) for name, array in inputs.items()}
            outputs.append(self.task(**moved).cpu())
        return torch.cat(outputs)


def _check_weights(folder: Path) -> None:
    """The weights are those whose hash training wrote: torch.load says nothing of a flipped bit.

    A model that came without train.json is taken as it is.
    """
    weights = folder / "weights.pt"
    facts = folder / "train.json"
    if facts.exists() and Training.read(facts).weights_sha256 != sha256(weights):
        raise UserError(f"{weights} fails its checksum: it is not what training wrote")


def _batches(inputs: Inputs, samples: int) -> Iterator[Inputs]:
    """`BATCH` samples at a time; one empty batch where there are none."""
    for first in range(0, max(samples, 1), BATCH):  # torch.cat wants one tensor at least
        yield {name: array[first : first + BATCH] for name, array in inputs.items()}

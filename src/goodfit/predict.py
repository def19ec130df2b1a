"""A trained model is three files; from them, and from nothing else, comes everything that predicts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch
from hydra.utils import get_class
from torch import Tensor

from goodfit import build, check, config
from goodfit.contract import Batch, DataSpec
from goodfit.data.packed import Batches, Packed
from goodfit.errors import UserError
from goodfit.files import read_json, sha256
from goodfit.task.base import Task
from goodfit.tensors import read

BATCH = 512  # samples a step without gradients: large enough that a step's overhead vanishes


class Predictor:
    """A model with its preprocessing: raw rows in, readable predictions out."""

    def __init__(self, task: Task, spec: DataSpec) -> None:
        self.task, self.spec = task.eval(), spec

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Rebuilds the network from config.yaml and spec.json, and fills in the weights.

        Raises:
            UserError: a file is missing, or the weights are not those that training wrote.
        """
        missing = [name for name in ("config.yaml", "spec.json", "weights.pt") if not (folder / name).exists()]
        if missing:
            raise UserError(f"{folder} is not a trained model: it lacks {', '.join(missing)}")
        facts = folder / "train.json"
        # torch.load accepts a flipped bit without a word
        if facts.exists() and read_json(facts)["weights_sha256"] != sha256(folder / "weights.pt"):
            raise UserError(f"{folder / 'weights.pt'} fails its checksum: it is not what training wrote")
        cfg = config.load(folder / "config.yaml")
        check.check(cfg)
        spec = DataSpec.read(folder / "spec.json")
        task = build.task(cfg, spec)
        task.model.load_state_dict(read(folder / "weights.pt"))
        return cls(task, spec)

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Readable predictions for raw rows, with the columns that the data set's `encode` takes."""
        if not check.allowed("data", self.spec.data):
            raise UserError(f"spec.json names '{self.spec.data}', which is no data set of this project")
        encode = get_class(self.spec.data).encode  # type: ignore[attr-defined]
        inputs = {name: torch.from_numpy(array) for name, array in encode(rows, self.spec).items()}
        nothing = torch.zeros(len(rows))
        pieces = zip(*(torch.split(array, BATCH) for array in inputs.values()), strict=True)
        batches = (Batch(dict(zip(inputs, piece, strict=True)), nothing, nothing) for piece in pieces)
        return self.task.decode(self.task.predict(self._outputs(batches)))

    def on(self, data: Packed) -> Tensor:
        """Predictions for all samples of a prepared split, in its order."""
        return self.task.predict(self.raw_outputs(data))

    def raw_outputs(self, data: Packed, size: int = BATCH) -> Tensor:
        """The network's outputs for all samples of a prepared split, in its order; on the CPU, wherever it computes."""
        return self._outputs(Batches(data, size))

    @torch.inference_mode()
    def _outputs(self, batches: Iterable[Batch]) -> Tensor:
        device = next(self.task.parameters()).device
        moved = ({name: array.to(device) for name, array in batch.inputs.items()} for batch in batches)
        return torch.cat([self.task(**inputs).cpu() for inputs in moved])

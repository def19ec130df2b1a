"""Tasks of other forms than those of the house, as small as can be, and networks for them.

Letters: B batch, K labels, T tokens, V words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import tiny
import torch
import torch.nn.functional as F
from hydra.utils import get_class
from torch import Tensor, nn

from goodfit.contract import DataSpec, Field
from goodfit.records import Answer, Chart
from goodfit.task.base import Task
from goodfit.task.regression import Regression
from goodfit.task.scores import Score, Statistics

LABELS, TOKENS, WORDS = 4, 5, 7
PARTS: dict[str, Any] = {"monitor": "loss", "score": "rmse", "optimizer": None, "schedule": None}
NUMBER_PARTS = PARTS | {"transform": "none", "interval": None}  # of Regression, and what it is of


def spec(kind: str, outputs: int, target: Field) -> DataSpec:
    """Three numbers in, this target out."""
    return DataSpec(
        data="goodfit.data.table.Table",
        kind=kind,
        outputs=outputs,
        inputs={"numbers": Field((3,), "float32")},
        targets={"target": target},
    )


NUMBER = spec("number", 1, Field((), "float32"))
SEVERAL = spec("labels", LABELS, Field((LABELS,), "float32"))
TEXT = spec("text", WORDS, Field((TOKENS,), "int64"))


class Line(nn.Module):
    """A linear map of the numbers (B, 3) to as many outputs as the task wants."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.line = nn.Linear(3, spec.outputs)

    def forward(self, numbers: Tensor) -> Tensor:
        out: Tensor = self.line(numbers)
        return out


def made(name: str, of_data: DataSpec, **options: Any) -> Task:
    """A task as conf/task/<name>.yaml has it but for `options`, around a linear map."""
    section = tiny.section("task", name)
    kind = get_class(section.pop("_target_"))
    given = PARTS | section | options
    outputs = kind.outputs(of_data, **given)
    task: Task = kind(Line(replace(of_data, outputs=outputs)), of_data, **given)
    return task


class Speller(nn.Module):
    """Gives logits (B, T, V) from the numbers (B, 3) and the tokens before, (B, T)."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.start = nn.Linear(3, spec.outputs)
        self.after = nn.Embedding(spec.outputs, spec.outputs)

    def forward(self, numbers: Tensor, previous: Tensor) -> Tensor:
        return self.step(self.start(numbers).unsqueeze(1), previous)

    def step(self, memory: Tensor, previous: Tensor) -> Tensor:
        out: Tensor = memory + self.after(previous)
        return out


class Small(Task):
    """What no test here looks at."""

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        return pd.DataFrame({"said": prediction.tolist()})

    @property
    def asked(self) -> str:
        return "little"

    def trivial(self, train: Any, inputs: Any, samples: int) -> dict[str, Any]:
        return {}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        return []

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        return Answer()


class Gaussian(Regression):
    """Mean and log variance of a number: negative log-likelihood in nats."""

    scores = {"nll": "min", "rmse": "min"}  # noqa: RUF012 - as tasks of the house
    additive = True

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        return 2

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return self._nll(output, target)

    def predict(self, output: Tensor) -> Tensor:
        return output.float()

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        return {
            "nll": self._nll(prediction, target),
            "squared": (prediction[:, 0] - target) ** 2,
            "samples": torch.ones_like(target),
        }

    def metrics(self) -> dict[str, Score]:
        return {
            "nll": lambda sums: sums["nll"] / sums["samples"],
            "rmse": lambda sums: (sums["squared"] / sums["samples"]).sqrt(),
        }

    def _nll(self, output: Tensor, target: Tensor) -> Tensor:
        mean, log_variance = output.unbind(1)
        squared = (target - mean) ** 2 / log_variance.exp()
        return 0.5 * (squared + log_variance + math.log(2 * math.pi))


class Several(Small):
    """K labels, any of which a sample may have: a sigmoid for each."""

    kinds = ("labels",)
    scores = {"f1": "max"}  # noqa: RUF012
    additive = True

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)

    def units(self, target: Tensor) -> Tensor:
        return torch.full((len(target),), float(target.shape[1]))

    def predict(self, output: Tensor) -> Tensor:
        return output.float().sigmoid()

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        said = (prediction > 0.5).float()
        return {"hits": said * target, "said": said, "true": target}

    def metrics(self) -> dict[str, Score]:
        """F1 (R,) of each label's sums (R, K), their mean."""
        return {"f1": lambda s: (2 * s["hits"] / (s["said"] + s["true"]).clamp_min(1)).mean(1)}


class Spelling(Small):
    """Texts of T tokens, written token by token; in training the one before is the true one."""

    kinds = ("text",)
    scores = {"exact": "max"}  # noqa: RUF012
    watched = {"tokens": "max"}  # noqa: RUF012
    feeds = ("previous",)
    network_methods = ("step",)
    additive = True

    def run(self, inputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        previous = F.pad(targets["target"], (1, 0))[:, :-1]
        out: Tensor = self.model(**inputs, previous=previous)
        return out

    def infer(self, inputs: Mapping[str, Tensor]) -> Tensor:
        network: Any = self.model
        memory = network.start(inputs["numbers"]).unsqueeze(1)
        tokens = [torch.zeros(len(memory), 1, dtype=torch.int64)]
        for _ in range(TOKENS):
            tokens.append(network.step(memory, tokens[-1]).argmax(-1))
        return torch.cat(tokens[1:], 1)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.transpose(1, 2), target, reduction="none").sum(1)

    def units(self, target: Tensor) -> Tensor:
        return torch.full((len(target),), float(target.shape[1]))

    def predict(self, output: Tensor) -> Tensor:
        return output.argmax(-1)

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        exact = (prediction == target).all(1).float()
        return {"exact": exact, "samples": torch.ones_like(exact)}

    def metrics(self) -> dict[str, Score]:
        return {"exact": lambda sums: sums["exact"] / sums["samples"]}

    def watch(self, output: Tensor, target: Tensor) -> Statistics:
        right = (output.argmax(-1) == target).float().sum(1)
        return {"right": right, "tokens": self.units(target)}

    def watch_metrics(self) -> dict[str, Score]:
        return {"tokens": lambda sums: sums["right"] / sums["tokens"]}

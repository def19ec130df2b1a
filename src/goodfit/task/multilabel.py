"""Labels that may hold at once, or none of them.

Letters: B batch, N samples of a split, K labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.contract import SAMPLE_WEIGHT
from goodfit.metrics.multilabel import average_precision, log_loss, macro_f1, micro_f1
from goodfit.metrics.weighted_arrays import average
from goodfit.records import Answer, Chart, Statement
from goodfit.task.base import Array
from goodfit.task.scores import Score, Statistics, of_predictions
from goodfit.task.temperature import Tempered

_SURE = 0.5  # from this probability on a label is answered
_MOST_LABELS = 60  # on a chart


class Multilabel(Tempered):
    """Cross-entropy of each label on logits (B, K); predictions are probabilities (B, K)."""

    kinds = ("labels",)
    mixes = True
    scores = {  # noqa: RUF012 - read as a literal
        "f1_micro": "max",
        "f1_macro": "max",
        "average_precision": "max",
        "log_loss": "min",
    }
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "f1_micro": (0, 1),
        "f1_macro": (0, 1),
        "average_precision": (0, 1),
        "log_loss": (0, math.inf),
    }

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Cross-entropies (B,) in nats, summed over labels, of logits (B, K) and ones (B, K)."""
        logits = self.tempered(output)
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)

    def units(self, target: Tensor) -> Tensor:
        """The labels of each sample (B,), of ones (B, K): the loss is a mean over labels."""
        return torch.full((len(target),), float(target.shape[1]), device=target.device)

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (B, K) of logits (B, K); those of a row need not sum to one."""
        return self.probabilities(self.tempered(self.logits(output)))

    def logits(self, output: Tensor) -> Tensor:
        """Outputs (B, K) in float32."""
        return output.float()

    def logits_of(self, probability: Tensor) -> Tensor:
        """Those of probabilities (B, K), also of 0 and 1."""
        return probability.double().logit(eps=1e-12)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """That each label does not hold, and that it does: (N * K, 2), of logits (N, K)."""
        either = logits.flatten()
        return torch.stack([F.logsigmoid(-either), F.logsigmoid(either)], 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """That each label holds, (B, K), of logits (B, K)."""
        return logits.sigmoid()

    def metrics(self) -> dict[str, Score]:
        """F1 of all labels together and as a mean of the labels, average precision, log loss.

        Of the statistics `prediction`, probabilities (N, K), and `target`, ones (N, K).
        """
        return of_predictions(
            {
                "f1_micro": lambda p, t, w: micro_f1(_decided(p), t, w),
                "f1_macro": lambda p, t, w: macro_f1(_decided(p), t, w),
                "average_precision": average_precision,
                "log_loss": log_loss,
            }
        )

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Columns `label`, all that are answered, and `p_<label>` of each, of (N, K)."""
        columns: dict[str, list[object]] = {"label": [self._names(row) for row in prediction]}
        for code, label in enumerate(self.spec.labels):
            columns[f"p_{label}"] = prediction[:, code].tolist()
        return pd.DataFrame(columns)

    def same_answer(self, prediction: Tensor) -> str | None:
        """The labels that are answered of each sample, of probabilities (N, K)."""
        answers = torch.unique(_decided(prediction), dim=0)
        return f"'{self._names(answers[0])}'" if len(answers) == 1 else None

    @property
    def asked(self) -> str:
        """How many labels there are."""
        return f"any of {self.spec.outputs} labels"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The shares of the labels in train, (N, K), the same for every sample: (samples, K)."""
        return {
            "shares of train": np.tile(
                average(train["target"], train.get(SAMPLE_WEIGHT)), (samples, 1)
            )
        }

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Calibration of all probabilities (N, K), and F1 of the labels by how often they hold."""
        target = methods["network"]["target"]
        by_frequency = target.sum(0).argsort(descending=True, stable=True)[:_MOST_LABELS]
        curves = []
        for title, statistics in list(methods.items())[:2]:
            decided = _decided(statistics["prediction"])
            scores = [micro_f1(decided[:, k], target[:, k]) for k in by_frequency.tolist()]
            curves.append([title, [float(score) for score in scores]])
        shown = [self.spec.labels[code] for code in by_frequency.tolist()]
        more = ", ..." if len(shown) > 5 else ""
        by_label = {
            "x": list(range(1, len(shown) + 1)),
            "curves": curves,
            "x_label": "labels, the most frequent first",
            "y_label": "F1",
            "caption": f"The most frequent labels are {', '.join(shown[:5])}{more}.",
        }
        return [
            self.reliability(methods["network"], _either),
            Chart("curves", "F1 of each label", by_label),
        ]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """The labels that hold, and those that are answered, from (K,) each."""
        statements = (
            Statement("truth", self._names(target)),
            Statement("network", self._names(prediction)),
        )
        wrong = bool((_decided(prediction) != target).any())
        return Answer(statements=statements, wrong=wrong)

    def _names(self, probability: Tensor) -> str:
        """The labels that are answered, of (K,), for a reader and a cell of a table."""
        codes = (probability >= _SURE).nonzero().flatten().tolist()
        return "; ".join(self.spec.labels[code] for code in codes) or "(none)"


def _decided(probability: Tensor) -> Tensor:
    """Ones (N, K) for the labels that are answered, by probabilities (N, K)."""
    return (probability >= _SURE).float()


def _either(probability: Tensor) -> Tensor:
    """That each label does not hold, and that it does: (N * K, 2), of probabilities (N, K)."""
    return torch.stack([1 - probability.flatten(), probability.flatten()], 1)

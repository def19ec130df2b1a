"""One of K classes for each sample. Letters: B batch, N samples of a split, K classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.metrics.classification import Auroc, accuracy, log_loss, macro_f1
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Fraction
from goodfit.task.base import Array, Partial, Task
from goodfit.task.diagnostics import calibration, confusion, shown_classes
from goodfit.task.scores import Score, SortedScore, Statistics, of_predictions


class Classification(Task):
    """Cross-entropy on logits (B, K); predictions are probabilities (B, K)."""

    kinds = ("class",)
    scores = {"accuracy": "max", "f1": "max", "auroc": "max", "log_loss": "min"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "accuracy": (0, 1),
        "f1": (0, 1),
        "auroc": (0, 1),
        "log_loss": (0, math.inf),
    }

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        label_smoothing: Fraction,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.label_smoothing = label_smoothing

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (B,) in nats of logits (B, K) against classes (B,), or soft ones (B, K).

        Labels are smoothed (Szegedy et al. 2016, section 7) in training only, so that the loss of
        validation is the log loss.
        """
        smoothing = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(output, target, label_smoothing=smoothing, reduction="none")

    def merge(self, output: Tensor) -> Tensor:
        """Logits (B, K) of the mean of the members' probabilities, of theirs (B, M, K)."""
        return output.float().log_softmax(-1).logsumexp(1) - math.log(output.shape[1])

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities, (B, K), each row sums to one."""
        # float32 first: rounded to 16 bits, a row would not sum to one
        return output.float().softmax(-1)

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Probabilities (B, K) and classes (B,); of soft targets (B, K) the likeliest class.

        An augmentation may have mixed labels (Zhang et al. 2018): the loss takes them as they are.
        """
        hard = target.argmax(1) if target.is_floating_point() else target
        return {"prediction": prediction, "target": hard}

    def metrics(self) -> dict[str, Score]:
        """Accuracy, F1 and one-against-rest AUROC as unweighted means of the classes, log loss.

        Of the statistics `prediction`, probabilities (N, K), and `target`, classes (N,).
        """
        scores = of_predictions({"accuracy": accuracy, "f1": macro_f1, "log_loss": log_loss})
        scores["auroc"] = SortedScore(lambda *samples: Auroc(*samples).of)
        return {name: scores[name] for name in self.scores}

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Columns `label`, and `p_<label>` for each class, of probabilities (N, K)."""
        labels = self.spec.labels
        columns = {"label": [labels[code] for code in prediction.argmax(1).tolist()]}
        for code, label in enumerate(labels):
            columns[f"p_{label}"] = prediction[:, code].tolist()
        return pd.DataFrame(columns)

    def same_answer(self, prediction: Tensor) -> str | None:
        """The label that is the likeliest of each sample, of probabilities (N, K)."""
        codes = torch.unique(prediction.argmax(1)).tolist()
        return f"'{self.spec.labels[codes[0]]}'" if len(codes) == 1 else None

    @property
    def asked(self) -> str:
        """How many classes there are."""
        return f"{self.spec.outputs} classes"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The shares of the classes (N,) in train, the same for every sample: (samples, K).

        As a label this is the majority class; of all constant probabilities it has the least log
        loss on train.
        """
        classes = train["target"]
        shares = np.bincount(classes, minlength=self.spec.outputs) / len(classes)
        return {"majority class": np.tile(shares, (samples, 1))}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Confusion matrix and calibration of probabilities (N, K) against classes (N,)."""
        probability, target = methods["network"]["prediction"], methods["network"]["target"]
        predicted = probability.argmax(1)
        shown, title = shown_classes(predicted, target, self.spec.outputs)
        counts = confusion(predicted, target, self.spec.outputs, shown)
        matrix = {"counts": counts.tolist(), "labels": [self.spec.labels[code] for code in shown]}
        return [
            Chart("confusion", title, matrix),
            Chart("reliability", "Calibration", calibration(probability, target)),
        ]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """The true class and the likeliest one, each with its probability, from (K,) and ()."""
        labels = self.spec.labels
        truth, likeliest = int(target), int(prediction.argmax())
        statements = (
            Statement("truth", labels[truth], float(prediction[truth])),
            Statement("network", labels[likeliest], float(prediction[likeliest])),
        )
        return Answer(statements=statements, wrong=truth != likeliest)

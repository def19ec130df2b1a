"""One of K classes for each sample. Letters: B batch, N samples of a split, K classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_auroc,
    multiclass_f1_score,
)

from goodfit.contract import DataSpec
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Fraction
from goodfit.task.base import Array, Partial, Score, Statistics, Task, of_predictions
from goodfit.task.diagnostics import calibration, confusion


class Classification(Task):
    """Cross-entropy on logits (B, K); predictions are probabilities (B, K)."""

    kinds = ("class",)
    scores = {"accuracy": "max", "f1": "max", "auroc": "max", "log_loss": "min"}  # noqa: RUF012 - read as a literal

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
        classes = self.spec.outputs
        # called for every resampled test set: torchmetrics would check its arguments each time
        accuracy = partial(
            multiclass_accuracy, num_classes=classes, average="micro", validate_args=False
        )
        f1 = partial(multiclass_f1_score, num_classes=classes, average="macro", validate_args=False)
        return of_predictions(
            {"accuracy": accuracy, "f1": f1, "auroc": auroc, "log_loss": log_loss}
        )

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Columns `label`, and `p_<label>` for each class, of probabilities (N, K)."""
        labels = self.spec.labels
        columns = {"label": [labels[code] for code in prediction.argmax(1).tolist()]}
        for code, label in enumerate(labels):
            columns[f"p_{label}"] = prediction[:, code].tolist()
        return pd.DataFrame(columns)

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
        counts = confusion(probability.argmax(1), target, self.spec.outputs)
        matrix = {"counts": counts.tolist(), "labels": list(self.spec.labels)}
        return [
            Chart("confusion", "Confusion matrix", matrix),
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


def auroc(probability: Tensor, target: Tensor) -> Tensor:
    """One-against-rest AUROC (), the unweighted mean over the classes that `target` holds.

    Of probabilities (N, K) against classes (N,); 0.5 where `target` holds a single class. A class
    that a resampled test set lacks has no curve; torchmetrics would count it as 0.
    """
    present = torch.unique(target)
    if len(present) == 1:
        return torch.tensor(0.5)
    # `present` is sorted: the classes that are there are numbered anew, without gaps
    codes = torch.searchsorted(present, target)
    score: Tensor = multiclass_auroc(
        probability[:, present], codes, len(present), average="macro", validate_args=False
    )
    return score


def log_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Mean negative log likelihood () in nats of probabilities (N, K) against classes (N,)."""
    # a baseline may give a class exactly 0; one such sample must not make the mean infinite
    return F.nll_loss(probability.clamp_min(1e-12).log(), target)

"""One of K classes for each sample. Letters: B batch, N samples of a split, K classes."""

from __future__ import annotations

from collections.abc import Mapping

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
from goodfit.task.base import Array, Partial, Score, Task
from goodfit.task.diagnostics import calibration, confusion


class Classification(Task):
    """Cross-entropy on logits (B, K); predictions are probabilities."""

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
        """Cross-entropy in nats; smoothed (Szegedy et al. 2016) in training only."""
        return F.cross_entropy(
            output, target, label_smoothing=self.label_smoothing if self.training else 0.0
        )

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities, (B, K), each row sums to one."""
        return output.float().softmax(-1)

    def metrics(self) -> dict[str, Score]:
        """Accuracy, unweighted mean of the classes' F1 and one-against-rest AUROC, negative log
        likelihood.
        """
        classes = self.spec.outputs
        return {
            "accuracy": lambda p, t: multiclass_accuracy(
                p, t, classes, average="micro", validate_args=False
            ),
            "f1": lambda p, t: multiclass_f1_score(
                p, t, classes, average="macro", validate_args=False
            ),
            "auroc": auroc,
            "log_loss": lambda p, t: F.nll_loss(p.clamp_min(1e-12).log(), t),
        }

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """`label`, and `p_<label>` for each class."""
        labels = self.spec.labels
        columns = {
            f"p_{label}": prediction[:, place].tolist() for place, label in enumerate(labels)
        }
        return pd.DataFrame(
            {"label": [labels[place] for place in prediction.argmax(1).tolist()], **columns}
        )

    @property
    def asked(self) -> str:
        """How many classes there are."""
        return f"{self.spec.outputs} classes"

    def trivial(self, train: Array, inputs: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """The classes' shares in the targets of train (N,), said of every sample: (samples, K)."""
        shares = np.bincount(train, minlength=self.spec.outputs) / len(train)
        return {"majority class": np.tile(shares, (samples, 1))}

    def diagnose(self, predictions: Mapping[str, Tensor], target: Tensor) -> list[Chart]:
        """Which class is taken for which, and whether probabilities (N, K) are what they say."""
        probability = predictions["network"]
        counts = confusion(probability.argmax(1), target, self.spec.outputs)
        matrix = {"counts": counts.tolist(), "labels": list(self.spec.labels)}
        return [
            Chart("confusion", "Confusion matrix", matrix),
            Chart("reliability", "Calibration", calibration(probability, target)),
        ]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """The true class and the likeliest one, each with its probability, from (K,) and ()."""
        truth, best = int(target), int(prediction.argmax())
        labels = self.spec.labels
        statements = (
            Statement("truth", labels[truth], float(prediction[truth])),
            Statement("network", labels[best], float(prediction[best])),
        )
        return Answer(statements=statements, wrong=truth != best)


def auroc(probability: Tensor, target: Tensor) -> Tensor:
    """Unweighted mean over the classes in `target` of one against the rest; 0.5 where it holds a
    single class.

    A class that a resampled test set lacks has no curve; torchmetrics would count it as 0.
    """
    present = torch.unique(target)
    if len(present) == 1:
        return torch.tensor(0.5)
    codes = torch.searchsorted(present, target)
    score: Tensor = multiclass_auroc(
        probability[:, present], codes, len(present), average="macro", validate_args=False
    )
    return score

"""One of K classes for each sample. Letters: B batch, N samples of a split, K classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import SAMPLE_WEIGHT, DataSpec
from goodfit.errors import UserError
from goodfit.metrics.classification import (
    Auroc,
    AveragePrecision,
    accuracy,
    balanced_accuracy,
    log_loss,
    macro_f1,
)
from goodfit.metrics.weighted import mean
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Costs, Fraction
from goodfit.task.base import Array, Partial
from goodfit.task.costs import by_probabilities, cheapest_threshold, check_label, of_mistakes
from goodfit.task.diagnostics import confusion, shown_classes
from goodfit.task.scores import MeanScore, Score, SortedScore, Statistics, weight_of
from goodfit.task.temperature import Tempered

# of train: a network that always gives the most frequent label has a better accuracy than this
_MAJORITY = 0.8


class Classification(Tempered):
    """Cross-entropy on logits (B, K); predictions are probabilities (B, K).

    With `class_weights=balanced` each class counts as much as any other in the loss. `costs` are
    those of mistakes about one of two labels: validation then chooses from which probability on it
    is answered, and the score `cost` is their mean. Where one class is more than 80 % of train,
    accuracy as the headline is refused, unless `majority=keep`.
    """

    kinds = ("class",)
    mixes = True
    scores = {  # noqa: RUF012 - read as a literal
        "accuracy": "max",
        "balanced_accuracy": "max",
        "f1": "max",
        "auroc": "max",
        "average_precision": "max",
        "log_loss": "min",
        "cost": "min",
    }
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "accuracy": (0, 1),
        "balanced_accuracy": (0, 1),
        "f1": (0, 1),
        "auroc": (0, 1),
        "average_precision": (0, 1),
        "log_loss": (0, math.inf),
    }

    class_weights: Tensor | None
    threshold: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        label_smoothing: Fraction,
        class_weights: Literal["none", "balanced"],
        majority: Literal["refuse", "keep"],
        costs: Costs | None,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.label_smoothing, self.majority = label_smoothing, majority
        is_balanced = class_weights == "balanced"
        self.register_buffer("class_weights", torch.ones(spec.outputs) if is_balanced else None)
        self.costs = None if costs is None else Costs.model_validate(dict(costs))
        if self.costs is None:
            self.leave_out("cost", "task.costs: what mistakes cost")
            return
        self._costly = check_label(self.costs, spec.labels)
        self.register_buffer("threshold", torch.tensor(by_probabilities(self.costs)))
        largest = max(self.costs.false_positive, self.costs.false_negative)
        self.ranges = {**self.ranges, "cost": (0, largest)}  # type: ignore[misc]

    def learn(self, train: Mapping[str, Array], *, held_out: int) -> None:
        """The weights of the classes, by their shares in train, (N,): on average a sample has 1.

        Raises:
            UserError: accuracy is the headline, though one class is nearly all of train.
        """
        counts = self._counts(train)
        if self.score == "accuracy" and self.majority == "refuse":
            self._check_majority(counts)
        if self.class_weights is not None:
            weights = counts.sum() / (len(counts) * np.where(counts > 0, counts, 1))
            self.class_weights = torch.from_numpy(weights.astype(np.float32))

    def calibrate(self, validation: Statistics) -> None:
        """The temperature, and the threshold whose answers then cost least.

        Of logits or probabilities (N, K), and classes (N,).
        """
        super().calibrate(validation)
        if self.costs is None:
            return
        probability = self._calibrated(validation)[:, self._costly].cpu()
        is_so = validation["target"].cpu() == self._costly
        weight = weight_of(validation)
        self.threshold = torch.tensor(cheapest_threshold(probability, is_so, self.costs, weight))

    def decide(self, probability: Tensor) -> Tensor:
        """The class that is answered of each sample (N,), by probabilities (N, K).

        The likeliest one; with `costs`, the label that they are about from its threshold on.
        """
        if self.costs is None:
            return probability.argmax(1)
        is_answered = probability[:, self._costly] >= self.threshold.to(probability.device)
        return torch.where(is_answered, self._costly, 1 - self._costly)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy (B,) in nats of logits (B, K) against classes (B,), or soft ones (B, K).

        Labels are smoothed (Szegedy et al. 2016, section 7) in training only, so that the loss of
        validation is the log loss; of weighted classes, the weighted one.
        """
        smoothing = self.label_smoothing if self.training else 0.0
        return F.cross_entropy(
            self.tempered(output),
            target,
            self.class_weights,
            label_smoothing=smoothing,
            reduction="none",
        )

    def mixable(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Classes (B,) as probabilities (B, K)."""
        return {"target": F.one_hot(targets["target"], self.spec.outputs).float()}

    def merge(self, output: Tensor) -> Tensor:
        """Logits (B, K) of the mean of the members' probabilities, of theirs (B, M, K)."""
        return output.float().log_softmax(-1).logsumexp(1) - math.log(output.shape[1])

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities, (B, K), each row sums to one."""
        return self.probabilities(self.tempered(self.logits(output)))

    def logits(self, output: Tensor) -> Tensor:
        """Outputs (B, K) in float32: rounded to 16 bits, a row's shares would not sum to one."""
        return output.float()

    def logits_of(self, probability: Tensor) -> Tensor:
        """Logarithms of probabilities (B, K): a constant away from logits."""
        return probability.clamp_min(torch.finfo(torch.float32).tiny).log()

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Those of the classes (N, K), of logits (N, K)."""
        return logits.log_softmax(-1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Those of the classes (B, K), of logits (B, K)."""
        return logits.softmax(-1)

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Probabilities (B, K) and classes (B,); of soft targets (B, K) the likeliest class.

        An augmentation may have mixed labels (Zhang et al. 2018): the loss takes them as they are.
        With `costs` also the class that is answered, and what it costs: (B,) each.
        """
        hard = target.argmax(1) if target.is_floating_point() else target
        statistics = {"prediction": prediction, "target": hard}
        if self.costs is not None:
            decision = self.decide(prediction)
            answered, is_so = decision == self._costly, hard == self._costly
            cost = of_mistakes(answered, is_so, self.costs)
            statistics |= {"decision": decision, "cost": cost}
        return statistics

    def metrics(self) -> dict[str, Score]:
        """Accuracy; F1, AUROC and average precision as unweighted means of the classes; log loss.

        Of the statistics `prediction`, probabilities (N, K), and `target`, classes (N,); with
        `costs` of the class that is answered, (N,), and the mean of `cost`, (N,).
        """
        classes = self.spec.outputs
        scores: dict[str, Score] = {
            "accuracy": MeanScore(
                lambda s: accuracy(_decided(s), s["target"], weight_of(s)),
                lambda s: _decided(s) == s["target"],
            ),
            "balanced_accuracy": lambda s: balanced_accuracy(
                _decided(s), s["target"], classes, weight_of(s)
            ),
            "f1": lambda s: macro_f1(_decided(s), s["target"], classes, weight_of(s)),
            "auroc": SortedScore(lambda *samples: Auroc(*samples).of),
            "average_precision": SortedScore(lambda *samples: AveragePrecision(*samples).of),
            "log_loss": lambda s: log_loss(s["prediction"], s["target"], weight_of(s)),
            "cost": lambda s: mean(s["cost"], weight_of(s)),
        }
        return {name: scores[name] for name in self.scores}

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Columns `label`, and `p_<label>` for each class, of probabilities (N, K)."""
        labels = self.spec.labels
        columns = {"label": [labels[code] for code in self.decide(prediction).tolist()]}
        for code, label in enumerate(labels):
            columns[f"p_{label}"] = prediction[:, code].tolist()
        return pd.DataFrame(columns)

    def same_answer(self, prediction: Tensor) -> str | None:
        """The label that is answered of each sample, of probabilities (N, K)."""
        codes = torch.unique(self.decide(prediction)).tolist()
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
        counts = self._counts(train)
        shares = counts / counts.sum()
        return {"majority class": np.tile(shares, (samples, 1))}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Confusion matrix and calibration of probabilities (N, K) against classes (N,)."""
        predicted, target = _decided(methods["network"]), methods["network"]["target"]
        shown, title = shown_classes(predicted, target, self.spec.outputs)
        counts = confusion(predicted, target, self.spec.outputs, shown)
        matrix = {"counts": counts.tolist(), "labels": [self.spec.labels[code] for code in shown]}
        if self.costs is not None:
            title += f"; '{self.costs.label}' from {float(self.threshold):.1%} on"
        return [
            Chart("confusion", title, matrix),
            self.reliability(methods["network"]),
        ]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """The true class and the answered one, each with its probability, from (K,) and ()."""
        labels = self.spec.labels
        truth, answered = int(target), int(self.decide(prediction[None])[0])
        statements = (
            Statement("truth", labels[truth], float(prediction[truth])),
            Statement("network", labels[answered], float(prediction[answered])),
        )
        return Answer(statements=statements, wrong=truth != answered)

    def _calibrated(self, validation: Statistics) -> Tensor:
        """The probabilities (N, K) that are answered, by the temperature."""
        if "logits" in validation:
            return self.probabilities(validation["logits"].cpu() / self.temperature)
        return self.recalibrated(validation["prediction"])

    def _counts(self, train: Mapping[str, Array]) -> Array:
        """How many samples of train (N,) each class has, (K,), or how much they weigh."""
        return np.bincount(train["target"], train.get(SAMPLE_WEIGHT), self.spec.outputs)

    def _check_majority(self, counts: Array) -> None:
        most = int(counts.argmax())
        share = counts[most] / counts.sum()
        if share <= _MAJORITY:
            return
        raise UserError(
            f"label '{self.spec.labels[most]}' is {share:.1%} of train, the rest {1 - share:.1%}: "
            "accuracy would praise a network that knows no other; choose "
            "task.score=balanced_accuracy or =average_precision, or take accuracy as it is "
            "by task.majority=keep"
        )


def _decided(statistics: Statistics) -> Tensor:
    """The class that is answered of each sample (N,), by probabilities (N, K) the likeliest."""
    if "decision" in statistics:
        return statistics["decision"]
    return statistics["prediction"].argmax(1)

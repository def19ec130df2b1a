"""One of K classes that have an order: a near miss is better than a far one.

Letters: B batch, N samples of a split, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.metrics.classification import accuracy, log_loss
from goodfit.metrics.ordered import distance, weighted_kappa
from goodfit.task.base import Array, Partial
from goodfit.task.classification import Classification
from goodfit.task.scores import Score, Statistics, weight_of

_NEARLY_SURE = -1e-37  # log of a share: that of 1, which is 0, would have no logit


class Ordinal(Classification):
    """Likelihood of K - 1 questions, each "is it more than this?" where it is not less.

    The network gives the logit of each question (Shi, Cao and Raschka 2023, CORN), so whatever it
    gives, "more than 3" is no likelier than "more than 2". Their products are probabilities (B, K)
    of the classes, in the order of `spec.labels`; answered is the median, which is nearest on
    average.
    """

    kinds = ("ordered",)
    mixes = False
    scores = {  # noqa: RUF012 - read as a literal
        "distance": "min",
        "kappa": "max",
        "accuracy": "max",
        "log_loss": "min",
    }
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "distance": (0, math.inf),
        "kappa": (-1, 1),
        "accuracy": (0, 1),
        "log_loss": (0, math.inf),
    }

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        class_weights: Literal["none", "balanced"],
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model,
            spec,
            monitor=monitor,
            score=score,
            label_smoothing=0.0,
            class_weights=class_weights,
            majority="keep",
            costs=None,
            optimizer=optimizer,
            schedule=schedule,
        )

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        """A question for each class but the highest."""
        return spec.outputs - 1

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Negative log likelihoods (B,) in nats of logits (B, K - 1) of classes (B,)."""
        questions = torch.arange(output.shape[1], device=output.device)
        is_more = questions < target[:, None]
        is_it = questions == target[:, None]
        if self._is_tempered:
            chosen = self.log_probabilities(self.tempered(self.logits(output)))
            loss = -chosen.gather(1, target[:, None]).squeeze(1).float()
        else:
            # what lies above the class is not asked
            loss = (F.softplus(-output) * is_more + F.softplus(output) * is_it).sum(1)
        return loss if self.class_weights is None else loss * self.class_weights[target]

    def predict(self, output: Tensor) -> Tensor:
        """Probabilities (B, K), each row sums to one, of logits (B, K - 1)."""
        output = output.float()
        if self._is_tempered:
            return self.probabilities(self.tempered(self.logits(output))).float()
        one = output.new_ones(len(output), 1)
        at_least = torch.cat([one, output.sigmoid().cumprod(1)], 1)
        return at_least * torch.cat([(-output).sigmoid(), one], 1)

    def logits(self, output: Tensor) -> Tensor:
        """Of "not more than this", (B, K - 1), of the network's logits (B, K - 1).

        Over any temperature they keep the side of 0 that they are on, and so the median; the
        network's own questions do not.
        """
        # in float32 a class of probability 1e-8 would have none; MPS has no float64
        wide = output.float() if output.device.type == "mps" else output.double()
        more = F.logsigmoid(wide).cumsum(1).clamp_max(_NEARLY_SURE)
        return torch.log(-torch.expm1(more)) - more

    def logits_of(self, probability: Tensor) -> Tensor:
        """The same of probabilities (B, K)."""
        least = torch.finfo(torch.float32).tiny
        upto = probability.cumsum(1)[:, :-1].clamp_min(least)
        above = probability.flip(1).cumsum(1).flip(1)[:, 1:].clamp_min(least)
        return upto.log() - above.log()

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Those of the classes (N, K), of logits (N, K - 1) that rise."""
        upper, lower = F.pad(logits, (0, 1), value=math.inf), F.pad(logits, (1, 0), value=-math.inf)
        # s(a) - s(c) = s(a) s(-c) (1 - exp(c - a)), which is exact in both tails
        apart = torch.log(-torch.expm1((lower - upper).clamp_max(_NEARLY_SURE)))
        return F.logsigmoid(upper) + F.logsigmoid(-lower) + apart

    def probabilities(self, logits: Tensor) -> Tensor:
        """Those of the classes (B, K), of logits (B, K - 1) that rise."""
        return self.log_probabilities(logits).exp()

    def decide(self, probability: Tensor) -> Tensor:
        """The median class of each sample (N,), by probabilities (N, K)."""
        below = (probability.cumsum(1) < 0.5).sum(1)
        return below.clamp(max=probability.shape[1] - 1)

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Probabilities (B, K), classes (B,) and the ones that are answered (B,)."""
        decision = self.decide(prediction)
        return {"prediction": prediction, "target": target, "decision": decision}

    def metrics(self) -> dict[str, Score]:
        """Mean distance in ranks, quadratic weighted kappa, accuracy and log loss.

        Of the statistics `prediction`, probabilities (N, K), `target` and `decision`, classes (N,).
        """
        classes = self.spec.outputs
        return {
            "distance": lambda s: distance(s["decision"], s["target"], weight_of(s)),
            "kappa": lambda s: weighted_kappa(s["decision"], s["target"], classes, weight_of(s)),
            "accuracy": lambda s: accuracy(s["decision"], s["target"], weight_of(s)),
            "log_loss": lambda s: log_loss(s["prediction"], s["target"], weight_of(s)),
        }

    @property
    def _is_tempered(self) -> bool:
        return not self.training and float(self.temperature) != 1

    @property
    def asked(self) -> str:
        """How many classes there are."""
        return f"{self.spec.outputs} ordered classes"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The shares of the classes (N,) in train, the same for every sample: (samples, K).

        As a label this is the median class.
        """
        (shares,) = super().trivial(train, inputs, samples).values()
        return {"median class": shares}

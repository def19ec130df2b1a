"""The one judgement about a fit: a word by a few rules, of the evidence and nothing else.

Docs: docs/overfitting.md. A network underfits where it does not come near what can be known of its
training data, and overfits where too little of what it knows of them holds for others (Goodfellow,
Bengio and Courville 2016, section 5.2). Both need a yardstick: here the best trivial baseline is
nothing known, and the strong baseline something that can be known. Where a network lacks on train
what is known of validation, and loses the rest, the larger part names it: avoidable bias and
variance (Ng 2018, "Machine Learning Yearning", chapter 22).
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from goodfit.config import tree
from goodfit.evaluation.evidence import Opponent, gather
from goodfit.evaluation.remedies import remedies
from goodfit.predictor import Predictor
from goodfit.records import FEWEST_UNITS
from goodfit.records.fit import Curve, Evidence, Fit, Judgement

# of what a network knows on train beyond a trivial baseline: of planted cases healthy ones lost up
# to 0.13, a large network on a hundred digits 0.16 and more
_MOST_LOST = 0.15
# what as many epochs more would bring at the last slope, of all that was gained
_STILL_TO_GAIN = 0.1


def judged(
    cfg: DictConfig, data: Path, model: Path, predictor: Predictor, strong: Opponent | None
) -> Judgement | None:
    """The fit of the weights in `model`, and what would make it better.

    Without the `strong` baseline it is not known whether more can be learned. None where the score
    of the verdict is undefined on train or validation, as with one class alone.

    Raises:
        UserError: a file is missing or broken.
    """
    evidence = gather(cfg, data, model, predictor, strong)
    if evidence is None:
        return None
    fit = kind(evidence)
    config = tree.dotted(tree.frozen(cfg))
    return Judgement(fit=fit, evidence=evidence, remedies=remedies(fit, evidence, config))


def kind(evidence: Evidence) -> Fit:
    """Which fit it is: the first of the rules that holds.

    What cannot be trusted comes first, then what cannot be told, then how well it fits.
    """
    if evidence.same_answer is not None:
        return Fit.DEGENERATE
    if evidence.leaks:
        return Fit.LEAK
    if evidence.units < FEWEST_UNITS:
        return Fit.TOO_FEW
    # it has not even learned by heart
    if evidence.on_train.low <= 0:
        return Fit.UNDERFIT
    strong, bias, lost = evidence.than_strong, evidence.bias, evidence.lost
    is_worse = strong is not None and strong.high < 0
    # it lacks more on train than it loses on validation
    if is_worse and bias is not None and bias.low > 0 and bias.value > evidence.gap.value:
        return Fit.UNDERFIT
    # the share is less sure than the gap: it has the luck of the trivial baseline in it, too
    is_sure = evidence.gap.low > 0 or (lost is not None and lost.low > 0)
    if lost is not None and lost.value >= _MOST_LOST and is_sure:
        return Fit.OVERFIT
    if is_worse:
        return Fit.UNDERFIT
    beats_strong = strong is not None and strong.low > 0
    if is_unfinished(evidence) and not beats_strong:
        return Fit.UNDERFIT
    return Fit.GOOD


def is_unfinished(evidence: Evidence) -> bool:
    """Whether the training ran out of epochs while validation was getting better."""
    return evidence.to_the_end and _rises(evidence.validation_curve)


def _rises(curve: Curve) -> bool:
    if curve.slope is None or curve.slope.low <= 0:
        return False
    return curve.epochs * curve.slope.value > _STILL_TO_GAIN * curve.gained

"""Numbers and results in words, with no more digits than a reader can use."""

from __future__ import annotations

from goodfit.records import Comparison
from goodfit.records.interval import Interval
from goodfit.system import units

MINUS, DASH = units.MINUS, "\N{EN DASH}"
SCORES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "f1": "F1 (mean of classes)",
    "auroc": "AUROC",
    "log_loss": "log loss",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mape": "mean absolute percentage error",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "map": "mAP (mean of overlaps)",
    "ap50": "AP at overlap 0.5",
    "chrf": "chrF",
    "bleu": "BLEU",
    "exact": "share of exact texts",
}


def title(score: str) -> str:
    """A score's name for readers; a score of a task that is new here keeps its own."""
    return SCORES.get(score, score.replace("_", " "))


# the page writes numbers as the terminal does
number, fixed, share = units.number, units.fixed, units.share


def measured(score: Interval, sign: bool = False) -> str:
    """A score with its interval: 0.965 [0.929, 0.991]."""
    return score.text(sign)


def probability(value: float) -> str:
    """A probability of three decimals; 1.000 and 0.000 are exact."""
    # what three decimals would round to a certainty
    if 0.9995 <= value < 1:
        return ">0.999"
    return "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def better(mode: str) -> str:
    """The direction in which a score improves, in words."""
    return "higher is better" if mode == "max" else "lower is better"


def unit(name: str | None) -> str:
    """` in kW`, behind the name of a quantity; nothing where it has no unit."""
    return f" in {name}" if name else ""


def difference(item: Comparison) -> str:
    """One paired difference as the end of a sentence, its value never negative."""
    better_by = item.difference
    # not by the outcome: where test has too few units, all are ties
    holds_zero = better_by.low <= 0 <= better_by.high
    zero = "the interval holds zero" if holds_zero else "the interval excludes zero"
    if better_by.value >= 0:
        return f"better by {measured(better_by)}; {zero}"
    # the bounds change places with their signs
    worse_by = Interval(-better_by.value, -better_by.high, -better_by.low)
    return f"worse by {measured(worse_by)}; {zero}"

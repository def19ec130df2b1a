"""Numbers and findings in words, with no more digits than a reader can use."""

from __future__ import annotations

import math
from collections.abc import Sequence

from goodfit.records import Comparison, Interval, Training

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
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
}


def title(score: str) -> str:
    """A score's name for readers; a score of somebody else's task keeps its own."""
    return SCORES.get(score, score.replace("_", " "))


def number(value: float, digits: int = 3, sign: bool = False) -> str:
    """Three significant digits, never an exponent: 0.0123, 1.50, 12,346; a minus sign, not a
    hyphen.
    """
    if not math.isfinite(value):
        return "not finite"
    if 0 < abs(value) < 0.0001:
        return ("" if value > 0 else MINUS) + "<0.0001"
    size = math.floor(math.log10(abs(value))) if value else 0
    return fixed(value, max(0, digits - 1 - size) if value else 0, sign)


def fixed(value: float, decimals: int, sign: bool = False) -> str:
    """So many decimals, thousands separated; zero has no sign."""
    text = f"{abs(value):,.{decimals}f}"
    zero = not any(digit in text for digit in "123456789")
    if value < 0 and not zero:
        return MINUS + text
    return f"+{text}" if sign and not zero else text


def decimals(score: Interval) -> int:
    """How many decimals a score deserves: those in which half its interval's width is between 5 and
    49.
    """
    half = (score.high - score.low) / 2
    if half <= 0:
        return 3 if abs(score.value) < 10 else 1
    return min(4, max(0, -math.floor(math.log10(half / 5))))


def measured(score: Interval, sign: bool = False) -> str:
    """A score with its interval: 0.965 [0.929, 0.991]."""
    places = decimals(score)
    value, low, high = (
        fixed(number, places, sign) for number in (score.value, score.low, score.high)
    )
    return f"{value} [{low}, {high}]"


def probability(value: float) -> str:
    """Three decimals; never a 1.000 or 0.000 that is not one."""
    if 0.9995 <= value < 1:
        return ">0.999"
    return "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """29 s, 4 min 10 s, 1 h 5 min."""
    if seconds < 10:
        return f"{number(seconds, 2)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def memory(megabytes: float) -> str:
    """635 MB, 1.2 GB."""
    return f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"


def share(part: float, whole: float) -> str:
    """A percentage without decimals, and never a 0 % or 100 % that is not one."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99 < percent < 100 else f"{percent:.0f} %"


def better(mode: str) -> str:
    """Which way a score should go."""
    return "higher is better" if mode == "max" else "lower is better"


def unit(name: str | None) -> str:
    """` in kW`, behind the name of a quantity; nothing where it has no unit."""
    return f" in {name}" if name else ""


def difference(item: Comparison) -> str:
    """One paired difference as a sentence's end."""
    paired = item.difference
    zero = "the interval holds zero" if item.outcome == 0 else "the interval excludes zero"
    if paired.value >= 0:
        return f"better by {measured(paired)}; {zero}"
    turned = Interval(-paired.value, -paired.high, -paired.low)
    return f"worse by {measured(turned)}; {zero}"


def fit(training: Training, score: str, mode: str, half_width: float) -> str:
    """What the kept weights' train and validation scores say about the fit.

    The yardstick is the half width of the test score's interval: a gap below it may be luck.
    """
    scores = training.scores
    ours, theirs, gap = (scores[f"{split}/{score}"] for split in ("train", "val", "gap"))
    worse = -gap if mode == "max" else gap
    places = decimals(Interval(theirs, theirs - half_width, theirs + half_width))
    values = (
        f"The kept weights have {title(score)} {fixed(ours, places)} on train and {fixed(theirs, places)} on "
        f"validation, a gap of {fixed(gap, places, sign=True)}"
    )
    if abs(worse) <= half_width:
        luck = f"the uncertainty of the test score (±{fixed(half_width, places)})"
        return f"{values}: smaller than {luck}, so no clear overfitting."
    if worse > 0:
        return f"{values}: validation is clearly worse than train, a sign of overfitting."
    return (
        f"{values}: validation is clearly better than train; the splits may differ in difficulty."
    )


def stopping(training: Training, history: Sequence[dict[str, float]]) -> str:
    """Whether training went on long enough, by the monitored score."""
    best, epochs, monitor = training.best_epoch, training.epochs, training.monitor
    name = f"validation {title(monitor.partition('/')[2])}"
    if best == epochs - 1:
        return f"The last epoch was the best by {name}: it was still improving, and longer training may help."
    values = {}
    for row in history:
        if math.isfinite(row.get(monitor, math.nan)):
            values[int(row["epoch"])] = row[monitor]
    text = f"Kept is epoch {best + 1} of {epochs}, the best by {name}"
    if best not in values or not values:
        return f"{text}."
    last = values[max(values)]
    return f"{text}, which was {number(values[best])} then and {number(last)} in the last epoch."

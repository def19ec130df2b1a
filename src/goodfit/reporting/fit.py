"""The one judgement about fit and length of a training; whoever speaks of it takes it from here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from goodfit.records import Evaluation, Interval, Training
from goodfit.reporting.words import fixed, number, title

# of all that validation gained: an epoch that moves it by less leaves it where it was
_LEVEL = 0.01
History = Sequence[Mapping[str, float]]


class Fit(StrEnum):
    """What a training was; each excludes the others."""

    UNDERFIT = "has learned nothing"
    SHORT = "too short to judge"
    IMPROVING = "still improving"
    LEVEL = "levelled off"
    PASSED = "past its best"
    OVERFIT = "overfit"


_ADVICE = {
    Fit.UNDERFIT: (
        "On train, too, it is no better than a trivial baseline, so it has learned nothing: look "
        "at the learning rate, the network and the inputs."
    ),
    Fit.SHORT: "A single epoch does not tell whether more would help.",
    Fit.IMPROVING: "Validation was still improving, so a longer training may help.",
    Fit.LEVEL: "Validation had levelled off: a longer training alone would hardly help.",
    Fit.PASSED: (
        "Validation was past its best, and the kept weights are from before: a longer training "
        "alone would not help."
    ),
    Fit.OVERFIT: (
        "Validation was past its best, a sign of overfitting: more data, regularization or a "
        "smaller network may help, a longer training alone would not."
    ),
}


class Judgement(NamedTuple):
    """The kind of fit, and the sentences about it."""

    fit: Fit
    text: str


def judge(training: Training, history: History, evaluation: Evaluation) -> Judgement:
    """What the curve of validation and the gap between train and validation say together.

    A gap counts as overfitting only where validation is past its best: as long as it improves, a
    longer training may help. The yardstick of a gap is the half width of the test score's interval:
    one below it may be luck.
    """
    by_epoch = _monitored(training, history)
    half_width = _half_width(evaluation.headline)
    gap = training.scores[f"gap/{evaluation.score}"]
    worse_by = -gap if evaluation.mode == "max" else gap

    fit = _of_curve(training, by_epoch)
    if fit is Fit.PASSED and worse_by > half_width:
        fit = Fit.OVERFIT
    if _has_learned_nothing(training, evaluation, half_width):
        fit = Fit.UNDERFIT
    sentences = [
        _kept(training, by_epoch),
        _values(training, evaluation.score, half_width) + _compared(worse_by, half_width),
        _ADVICE[fit],
    ]
    return Judgement(fit, " ".join(sentences))


def _of_curve(training: Training, by_epoch: Mapping[int, float]) -> Fit:
    """The fit by the monitored score of each epoch alone."""
    best, epochs = training.best_epoch, training.epochs
    if epochs <= 1:
        return Fit.SHORT
    others = [value for epoch, value in by_epoch.items() if epoch != best]
    if best not in by_epoch or not others:
        return Fit.IMPROVING if best == epochs - 1 else Fit.LEVEL

    kept = by_epoch[best]
    gained = abs(kept - by_epoch[min(by_epoch)])
    if best == epochs - 1:
        by_last = min(abs(value - kept) for value in others)
        return Fit.IMPROVING if by_last > _LEVEL * gained else Fit.LEVEL
    lost = abs(by_epoch[max(by_epoch)] - kept)
    return Fit.PASSED if lost > _LEVEL * gained else Fit.LEVEL


def _has_learned_nothing(training: Training, evaluation: Evaluation, half_width: float) -> bool:
    """Whether neither test nor train show more than a trivial baseline knows."""
    verdict = evaluation.verdict
    if verdict.too_few or not verdict.not_shown:
        return False
    train = training.scores[f"train/{evaluation.score}"]
    for item in evaluation.baselines:
        if item.title in verdict.not_shown:
            better_by = train - item.scores[evaluation.score].value
            better_by = better_by if evaluation.mode == "max" else -better_by
            if better_by <= half_width:
                return True
    return False


def _kept(training: Training, by_epoch: Mapping[int, float]) -> str:
    """Which epoch was kept, by which score."""
    best, epochs = training.best_epoch, training.epochs
    name = title(training.monitor.partition("/")[2])
    text = f"Kept is epoch {best + 1} of {epochs}, the best by validation {name}"
    if best == epochs - 1 or best not in by_epoch:
        return f"{text}."
    last = number(by_epoch[max(by_epoch)])
    return f"{text}, which was {number(by_epoch[best])} then and {last} in the last epoch."


def _values(training: Training, score: str, half_width: float) -> str:
    """The beginning of a sentence: the kept weights' scores, and their gap."""
    train, validation, gap = (
        training.scores[f"{split}/{score}"] for split in ("train", "val", "gap")
    )
    digits = Interval(validation, validation - half_width, validation + half_width).decimals
    return (
        f"The kept weights have {title(score)} {fixed(train, digits)} on train "
        f"and {fixed(validation, digits)} on validation, a gap of {fixed(gap, digits, sign=True)}: "
    )


def _compared(worse_by: float, half_width: float) -> str:
    """The end of that sentence: which of the two is better."""
    if abs(worse_by) <= half_width:
        digits = Interval(half_width, 0.0, 2 * half_width).decimals
        return f"smaller than the uncertainty of the test score (±{fixed(half_width, digits)})."
    if worse_by > 0:
        return "validation is clearly worse than train."
    return "validation is clearly better than train; the splits may differ in difficulty."


def _monitored(training: Training, history: History) -> dict[int, float]:
    """The monitored score by epoch, where it is finite."""
    by_epoch = {}
    for row in history:
        value = row.get(training.monitor, math.nan)
        if math.isfinite(value):
            by_epoch[int(row["epoch"])] = value
    return by_epoch


def _half_width(interval: Interval) -> float:
    """Half of an interval's width, 0 where it is not finite."""
    half = (interval.high - interval.low) / 2
    return half if math.isfinite(half) else 0.0

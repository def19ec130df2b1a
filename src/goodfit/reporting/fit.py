"""The sentences about a fit: all that a page says of it comes from the one judgement."""

from __future__ import annotations

from collections.abc import Iterator

from goodfit.records import FEWEST_UNITS
from goodfit.records.fit import Curve, Evidence, Fit, Judgement, Shuffled
from goodfit.records.interval import Interval
from goodfit.reporting.words import fixed, measured, number, title
from goodfit.system.units import counted

UNDEFINED = "The score is undefined on train or validation, so the fit is not judged."


def line(judgement: Judgement | None) -> str:
    """The word with its reason, and the first remedy: for a terminal."""
    if judgement is None:
        return UNDEFINED
    text = f"{judgement.fit}: {_said(judgement.fit, judgement.evidence)}"
    if not judgement.remedies:
        return text
    return f"{text} Likely to help: {judgement.remedies[0].override}"


def told(judgement: Judgement) -> list[str]:
    """What the judgement means here, then the evidence, a sentence each."""
    evidence = judgement.evidence
    shuffled = [_beside_shuffled(evidence, run) for run in evidence.shuffled]
    scores = [*_scores(evidence), *shuffled]
    return [_said(judgement.fit, evidence), *scores, *_curves(evidence), _size(evidence)]


def of_shuffled(run: Shuffled) -> str:
    """What a training on shuffled targets scored, beside chance."""
    low, high = number(run.chance.low, 3), number(run.chance.high, 3)
    return (
        f"on targets shuffled by {run.by} the network scores {title(run.score)} "
        f"{number(run.train, 3)} on train, learned by heart in {counted(run.steps, 'step')}, and "
        f"{number(run.validation, 3)} on validation, where chance gives {low} to {high}"
    )


def _beside_shuffled(evidence: Evidence, run: Shuffled) -> str:
    """By how much the network is better than one that had shuffled targets."""
    sign = 1 if run.mode == "max" else -1
    by = sign * (evidence.validation.value - run.validation)
    said = of_shuffled(run)
    return f"{said[0].upper()}{said[1:]}; with the true ones it is better by {number(by, 3)}."


def _said(fit: Fit, evidence: Evidence) -> str:
    """What the word means here: the numbers of the rule that held."""
    if fit is Fit.DEGENERATE:
        return f"It answers {evidence.same_answer} for every sample, so it has learned nothing."
    if fit is Fit.LEAK:
        return f"The score is not to be trusted: {'; '.join(evidence.leaks)}."
    if fit is Fit.TOO_FEW:
        there = counted(evidence.units, evidence.unit)
        return (
            f"Validation has {there}, it takes {FEWEST_UNITS}: a gap as large as any may be luck."
        )
    if fit is Fit.UNDERFIT:
        return _underfit(evidence)
    if fit is Fit.OVERFIT:
        assert evidence.lost is not None  # the rule is about it
        return (
            f"Of what it knows on train beyond {evidence.trivial}, {_percent(evidence.lost)} is "
            "lost on validation: it has learned samples by heart."
        )
    return "What it knows of train holds for validation, too."


def _underfit(evidence: Evidence) -> str:
    if evidence.on_train.low <= 0:
        return f"Not even on train it is better than {evidence.trivial}: it has learned nothing."
    strong = evidence.than_strong
    if strong is not None and strong.high < 0:
        worse = Interval(-strong.value, -strong.high, -strong.low)
        return (
            f"More can be learned: on validation {evidence.strong} is better by {measured(worse)}."
        )
    return "It ran out of epochs while validation was getting better."


def _scores(evidence: Evidence) -> Iterator[str]:
    """The kept weights' scores, their gap, and what is lost between them."""
    name = title(evidence.score)
    yield (
        f"Kept is epoch {evidence.kept_epoch + 1} of {evidence.epochs}, with {name} "
        f"{measured(evidence.train)} on train and {measured(evidence.validation)} on validation, "
        f"which is {_gap(evidence.gap)}."
    )
    yield (
        f"Than {evidence.trivial} it is better by {measured(evidence.on_train)} on train and by "
        f"{measured(evidence.on_validation)} on validation{_lost(evidence.lost)}."
    )
    if evidence.than_strong is not None:
        by = measured(evidence.than_strong, sign=True)
        yield f"Than {evidence.strong} it is better by {by} on validation."


def _gap(gap: Interval) -> str:
    if gap.low > 0:
        return f"worse by {measured(gap)}"
    if gap.high < 0:
        better = Interval(-gap.value, -gap.high, -gap.low)
        return f"better by {measured(better)}; the splits may differ in difficulty"
    return f"no clear difference ({measured(gap, sign=True)})"


def _lost(lost: Interval | None) -> str:
    return "" if lost is None else f": {_percent(lost)} of it is lost"


def _percent(share: Interval) -> str:
    value, low, high = (fixed(100 * number, 0) for number in (share.value, share.low, share.high))
    return f"{value} % [{low}, {high}]"


def _curves(evidence: Evidence) -> Iterator[str]:
    """How both curves ended, and what that says about a longer training."""
    train, validation = evidence.train_curve, evidence.validation_curve
    if validation.slope is None or train.slope is None:
        yield f"After {counted(evidence.epochs, 'epoch')} no curve has an end to judge."
        return
    over = f"Over the last {counted(validation.epochs, 'epoch')} validation {_ended(validation)}"
    yield f"{over}; the loss of train {_ended(train)}."


def _ended(curve: Curve) -> str:
    slope = curve.slope
    assert slope is not None  # of few epochs nothing is said
    by = f"{number(abs(slope.value), 2)} an epoch"
    if slope.low > 0:
        return f"was getting better by {by}"
    if slope.high < 0:
        return f"was getting worse by {by}"
    return "had levelled off"


def _size(evidence: Evidence) -> str:
    weights = evidence.parameters / max(evidence.samples, 1)
    return (
        f"The network has {evidence.parameters:,} weights for {evidence.samples:,} samples of "
        f"train, {number(weights, 2)} for each."
    )

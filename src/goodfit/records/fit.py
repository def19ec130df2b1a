"""Whether a trained network fits, what shows it, and what would make it fit better."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from goodfit.records.interval import Interval
from goodfit.system.record import Record


class Fit(StrEnum):
    """What a training came to; each excludes the others."""

    UNDERFIT = "underfit"
    GOOD = "good fit"
    OVERFIT = "overfit"
    LEAK = "leak suspected"
    TOO_FEW = "too few to tell"
    DEGENERATE = "degenerate"


@dataclass(frozen=True, kw_only=True)
class Curve(Record):
    """How a curve ended: its change by epoch over the last `epochs`, better above 0.

    The 95 % interval is that of the slope of a line through them; None of fewer than 3. `gained` is
    how much better the kept epoch is than the first one.
    """

    epochs: int
    slope: Interval | None
    gained: float


# of a score by chance, below which a network knows the answers otherwise: one in 200
_SURE = 0.005


@dataclass(frozen=True, kw_only=True)
class Shuffled(Record):
    """What a network scores that was trained on shuffled targets, on such of train and validation.

    Samples of a unit have the same targets: `by` is "sample", or a column. `chance` is the mean and
    the middle 95 % of the score for targets that are drawn anew, and `probability` that by chance
    it is as good.
    """

    by: str
    score: str
    mode: str  # of the score: "max" or "min" is better
    train: float
    validation: float
    chance: Interval
    probability: float
    steps: int
    data_sha256: str

    @property
    def leak(self) -> str | None:
        """What shows that answers leak, for a reader; None where the score is chance."""
        if self.probability > _SURE:
            return None
        way = (
            "it has seen the same samples, or is told the answers by another way than its inputs"
            if self.by == "sample"
            else f"it knows again who a '{self.by}' is, and the splits share some"
        )
        return (
            f"trained on targets shuffled by {self.by}, its {self.score} on such of validation is "
            f"{self.validation:.3g}, where chance gives {self.chance.low:.3g} to "
            f"{self.chance.high:.3g}: {way}"
        )


@dataclass(frozen=True)
class ShuffledRuns(Record):
    """What was found of an experiment, by each unit that was asked about."""

    runs: tuple[Shuffled, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence(Record):
    """The numbers that a fit is judged by, of the kept weights and by one score.

    Differences are better above 0, whatever the direction of the score. `gap` is by how much train
    is better than validation. `on_train` and `on_validation` are by how much the network is better
    there than the best trivial baseline, and `lost` the share of the first that is not in the
    second. `than_strong` compares with the strong baseline on validation, and `bias` is by how much
    that baseline is better there than the network on train, None where none was asked. All
    intervals are over the independent `units` of validation, and those of train. `shuffled` are
    trainings on shuffled targets, where somebody has asked for them.
    """

    score: str
    train: Interval
    validation: Interval
    gap: Interval
    trivial: str
    on_train: Interval
    on_validation: Interval
    lost: Interval | None
    strong: str | None = None
    than_strong: Interval | None = None
    bias: Interval | None = None
    train_curve: Curve
    validation_curve: Curve
    epochs: int
    kept_epoch: int
    to_the_end: bool  # the training was not ended early
    unit: str
    units: int
    samples: int  # of train
    parameters: int  # that are trained
    same_answer: str | None = None
    leaks: tuple[str, ...] = ()
    shuffled: tuple[Shuffled, ...] = ()


@dataclass(frozen=True)
class Remedy(Record):
    """An override that is likely to help, as the command line takes it, and why."""

    override: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Judgement(Record):
    """The one word about a fit, its evidence, and at most three remedies, the likeliest first."""

    fit: Fit
    evidence: Evidence
    remedies: tuple[Remedy, ...]

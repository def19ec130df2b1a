"""What the stages tell each other: a typed record for each file that one leaves for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from goodfit.records.fit import Judgement
from goodfit.records.interval import Interval
from goodfit.system.record import Record

Role = Literal["strong", "other", "trivial"]  # in the order of tables
TOO_FEW = "too few to tell"  # the word of a verdict on a test set of few independent units
# independent units of test from which on intervals are believed: of fewer clusters the bootstrap's
# are too narrow, where "few" ends at 20 to 50 of them (Cameron and Miller 2015, section VI)
FEWEST_UNITS = 30


@dataclass(frozen=True, kw_only=True)
class Copies(Record):
    """Rows whose inputs repeat those of an earlier row; None where copies have no meaning.

    `near` repeat them nearly, as an image that was written anew; None where that is not looked for.
    They share a split unless they are `apart`.
    """

    rows: int | None
    with_another_target: int | None
    near: int | None = None
    apart: bool = False


@dataclass(frozen=True, kw_only=True)
class Manifest(Record):
    """What prepare wrote: the hash of every file, how the splits were made, and their sizes.

    `raw_sha256` has each raw file's hash by the name of its source. `made_with` is the section
    `data`, without where the raw files are from. `counts` holds the samples of each split by label,
    or in all, `missing` the missing cells of columns that lack any, `alike_after_encoding` test
    samples encoded as a train sample with other raw inputs, `in_no_split` rows that the rule puts
    into none. `columns` says how a table was read, `findings` what may make a score mislead,
    `left_out` what is wrong with files left out.
    """

    raw_sha256: dict[str, str]
    sha256: str
    test_sha256: str
    files: dict[str, str]
    made_with: dict[str, Any]
    split: str
    copies: Copies
    alike_after_encoding: int
    counts: dict[str, dict[str, int]]
    in_no_split: int
    missing: dict[str, dict[str, int]] = field(default_factory=dict)
    columns: tuple[ColumnRead, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    def samples(self, split: str) -> int:
        """The number of samples in a split."""
        return sum(self.counts[split].values())


@dataclass(frozen=True, kw_only=True)
class Cost(Record):
    """What a training took: seconds over all processes that it was continued in, MB at the most."""

    seconds: float
    parameters: int
    trainable: int  # of these parameters; the others were frozen
    peak_memory_mb: int


@dataclass(frozen=True, kw_only=True)
class Training(Record):
    """What train measured of the weights that it kept; `scores` are named <split>/<score>."""

    run_id: str
    monitor: str
    epochs: int
    best_epoch: int  # from zero, as Lightning counts
    steps: int
    scores: dict[str, float]
    cost: Cost
    machine: str  # what computed it
    commit: str
    dirty: str
    weights_sha256: str
    pretrained_sha256: str | None = None  # of the file that it started from


@dataclass(frozen=True, kw_only=True)
class Method(Record):
    """A baseline's test scores; `validation` is its headline score there, None if undefined.

    The strong one is the best on validation: test scores choose nothing.
    """

    title: str
    role: Role
    validation: float | None
    scores: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """The network against one baseline, on the same resampled test sets.

    A positive difference is better, whatever the direction of the score.
    """

    title: str
    role: Role
    outcome: int  # 1 better, 0 tied, -1 worse
    difference: Interval


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """The comparison with the strong baseline in a word and in a sentence.

    `too_few` says how few independent units test has, where they are too few to tell; all
    comparisons are then ties. `degenerate` says what the network answers, where it answers every
    test sample alike.
    """

    word: str
    text: str
    against: tuple[Comparison, ...]
    worse_than_trivial: bool
    too_few: str | None = None
    degenerate: str | None = None

    @property
    def strong(self) -> Comparison:
        """The comparison that the verdict is about."""
        return next(item for item in self.against if item.role == "strong")

    @property
    def not_shown(self) -> list[str]:
        """The trivial baselines that the network is not shown to be better than."""
        return [item.title for item in self.against if item.role == "trivial" and item.outcome <= 0]

    @property
    def beaten_by(self) -> list[str]:
        """The trivial baselines that are better than the network."""
        return [item.title for item in self.against if item.role == "trivial" and item.outcome < 0]

    @property
    def lost_to(self) -> list[str]:
        """Baselines that beat the network, though on validation the strong one was better."""
        if self.strong.outcome < 0:
            return []
        return [item.title for item in self.against if item.role == "other" and item.outcome < 0]


@dataclass(frozen=True)
class Chart(Record):
    """The numbers behind a picture of the errors.

    `form` names the drawing that reporting has for them.
    """

    form: str
    title: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Statement(Record):
    """What somebody says about a sample: the truth, or the network, with its probability."""

    who: str
    value: str | float
    probability: float | None = None


@dataclass(frozen=True)
class Box(Record):
    """An object in a picture, as the truth or the network has it.

    `corners` are x1, y1, x2 and y2 in pixels; `hit` tells whether the other side has it, too.
    """

    who: str
    corners: tuple[float, float, float, float]
    label: str
    hit: bool
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Answer(Record):
    """Truth and prediction of a sample, for a reader.

    Either as statements, as curves over the same steps, or as boxes in a picture of `size`, width
    and height in pixels. `wrong` is None where an answer is not right or wrong but near or far.
    """

    statements: tuple[Statement, ...] = ()
    # pairs, for JSON's keys are sorted when they are written, and curves have an order
    curves: list[tuple[str, list[float]]] = field(default_factory=list)
    boxes: tuple[Box, ...] = ()
    size: tuple[int, int] | None = None
    wrong: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Exhibit(Record):
    """A sample's inputs, for a reader: a picture, a text, a curve, or a few cells of a table.

    The curve ends before `start`, the time of the first step to be forecast. `cells` stand out,
    each with its value and distance from train's mean in deviations; `words` are no numbers.
    """

    picture: str | None = None  # a file of the format `picture_format`, base64
    picture_format: Literal["png", "jpeg"] = "png"
    text: str | None = None
    curve: list[float] = field(default_factory=list)
    start: str | None = None
    cells: dict[str, tuple[float, float]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnRead(Record):
    """What a column of a table is read as, None where it is left out, and why.

    `otherwise` is the override by which it would be read as something else, or left out.
    """

    name: str
    read_as: str | None
    why: str
    otherwise: str | None = None


FINDING_ROWS = 8  # that a finding names at most


@dataclass(frozen=True, kw_only=True)
class Finding(Record):
    """What in the data makes a score mislead, what it costs to ignore it, and what answers it.

    `rows` are a few of those that it is about, by their number among the rows that were read: one
    more than are named, where there are more. It `leaks` where it lets a network know answers that
    nobody would have told it in use.
    """

    what: str
    cost: str
    answer: str
    rows: tuple[int, ...] = ()
    leaks: bool = False

    def listed(self, number: Callable[[int], int] = int) -> str:
        """Its rows in words, each by what `number` makes of it."""
        more = ", ..." if len(self.rows) > FINDING_ROWS else ""
        return ", ".join(str(number(row)) for row in self.rows[:FINDING_ROWS]) + more


@dataclass(frozen=True, kw_only=True)
class Example(Record):
    """A test sample for a reader; `row` is its row in test, `loss` that of one of its units."""

    row: int
    loss: float
    answer: Answer
    exhibit: Exhibit


@dataclass(frozen=True)
class Weighing(Record):
    """The column by which samples count; test tells as much as `told` units of equal weight."""

    column: str
    told: int


@dataclass(frozen=True, kw_only=True)
class Evaluation(Record):
    """What evaluate measured on test data, which no other stage opens.

    `modes` tells of each score whether "max" or "min" is better; `score` is the headline's name.
    Intervals are those of `clusters` independent ones, each a `cluster`: a sample, a film, a week.
    `examples` have the largest loss, `ordinary` ones neither the largest nor the smallest. Where
    samples do not count alike, `weighing` says by what they do. `opened_by` are the hashes of the
    weights of all models of the experiment that answered this test set, as far as is known.
    """

    experiment: str
    task: str
    model: str
    # what goes in and what is asked for: "image → 10 classes"
    subject: str
    score: str
    modes: dict[str, str]
    samples: int
    cluster: str
    clusters: int
    resamples: int
    test_sha256: str
    weights_sha256: str
    seconds_per_1000: float
    network: dict[str, Interval]
    baselines: tuple[Method, ...]
    verdict: Verdict
    charts: tuple[Chart, ...]
    typical: tuple[Chart, ...]
    examples: tuple[Example, ...]
    fit: Judgement | None
    ordinary: tuple[Example, ...] = ()
    weighing: Weighing | None = None
    opened_by: tuple[str, ...] = ()

    @property
    def headline(self) -> Interval:
        """The network's score that the verdict is about."""
        return self.network[self.score]

    @property
    def mode(self) -> str:
        """Whether the headline score is better when it is "max" or "min"."""
        return self.modes[self.score]

    @property
    def strong(self) -> Method:
        """The baseline that the verdict is about."""
        return next(item for item in self.baselines if item.role == "strong")


@dataclass(frozen=True, kw_only=True)
class Registration(Record):
    """What register did, and why; `version` is None where it left the model for later."""

    model: str
    version: str | None
    champion: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """What a training is asked for besides its configuration; it reaches the workers as JSON.

    `out` is the model's folder, None for build/runs/<run>. Without `keep` only the run's numbers
    and texts are sent, and no files stay but in `out`, where it is given. `data` is the folder of
    the prepared data, None for the experiment's own.
    """

    out: Path | None = None
    data: Path | None = None
    overrides: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    keep: bool = True


@dataclass(frozen=True)
class Trained(Record):
    """What a training gave: its run, and the monitored validation score of the weights it kept.

    They lie in `folder`, None where they were not kept.
    """

    run_id: str
    monitor: str
    score: float
    folder: Path | None

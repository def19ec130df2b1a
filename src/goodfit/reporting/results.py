"""docs/results.md: what each experiment scored, against which baselines, on which data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from goodfit.config import gallery, params, tree
from goodfit.data.split import SPLITS
from goodfit.errors import OtherVersionError
from goodfit.paths import Paths
from goodfit.records import Evaluation, Manifest, Training
from goodfit.records.interval import Interval
from goodfit.reporting.facts import evaluated
from goodfit.system import units
from goodfit.system.files import write_text

PAGE = Path("docs/results.md")

_HEAD = """# Results

Written by `make results` from what `make repro` and `make gallery` left in report/ and models/; \
not edited by hand.

Brackets are 95 % intervals: percentiles of {resamples} resampled test sets, \
the same ones for every method; where all of these agree, what samples may change that test \
happens not to hold. "Better
by" is the paired difference, positive where the network is better; \
the verdict is a tie where its interval holds zero, and "too few to tell" where test has too few
independent units.
Of the baselines, the strong one is the best on validation; the verdict is against it.
Seeds: {seeds}. Test data were opened by `evaluate` only.
"""


def write() -> None:
    """Writes the page: a section for each experiment of params.yaml, then for others with results.

    Raises:
        UserError: params.yaml cannot be read, one of them has not been trained and evaluated, or a
            file is broken.
    """
    names = [*params.experiments(), *_others()]
    resamples = {_evaluation(name).resamples for name in names}
    seeds = {_seed(name) for name in names}
    head = _HEAD.format(
        seeds=", ".join(str(seed) for seed in sorted(seeds)),
        resamples=" or ".join(f"{number:,}" for number in sorted(resamples)),
    )
    write_text(PAGE, "\n".join([head, *(section(name) for name in names)]))
    print(f"wrote {PAGE}")


def section(name: str) -> str:
    """Data, scores of all methods, the verdict and the cost of one experiment, as Markdown.

    Raises:
        UserError: it has not been trained and evaluated, or a file is broken.
    """
    evaluation = _evaluation(name)
    training = Training.read(Paths(name).model / "train.json")
    manifest = Manifest.read(Paths(name).prepared / "manifest.json")
    lines = [
        f"## {name}",
        "",
        _data(manifest, evaluation),
        "",
        *_table(evaluation, training.scores.get(f"val/{evaluation.score}")),
        "",
        f"Verdict by {evaluation.score}: {evaluation.verdict.text}.",
        "",
        _training(training, evaluation.score),
        "",
    ]
    return "\n".join(lines)


def _others() -> Iterator[str]:
    """The experiments of the gallery that have been evaluated.

    One whose files another version wrote is left out, with a line that says so: to train it again
    may take hours.
    """
    existing, in_params = gallery.known(), params.experiments()
    for name in evaluated():
        if name not in existing or name in in_params:
            continue
        try:
            section(name)
        except OtherVersionError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        yield name


def _data(manifest: Manifest, evaluation: Evaluation) -> str:
    drawn = ""
    if evaluation.cluster != "sample":
        count = f"{evaluation.clusters:,} {evaluation.cluster}s"
        drawn = f" Test has {count}; intervals draw them as wholes."
    if evaluation.weighing:
        drawn += f" Scores weigh samples by `{evaluation.weighing.column}`."
    raw = ", ".join(f"{name} `{digest[:16]}`" for name, digest in manifest.raw_sha256.items())
    train, validation, test = (manifest.samples(split) for split in SPLITS)
    return (
        f"{train:,} samples to train on, {validation:,} to choose on, "
        f"{test:,} to test on; split {manifest.split}. "
        f"SHA-256 of raw data: {raw}; "
        f"of the test split `{manifest.test_sha256[:16]}`.{drawn}"
    )


def _table(evaluation: Evaluation, on_validation: float | None) -> list[str]:
    scores = list(evaluation.modes)
    rows = [
        _row("method", "role", [f"{evaluation.score} on validation", *scores]),
        f"|---|---|---|{'---|' * len(scores)}",
        _row(
            f"**{evaluation.model}**",
            "network",
            [_validation(on_validation), *_cells(evaluation.network, scores)],
        ),
    ]
    for baseline in evaluation.baselines:
        cells = [_validation(baseline.validation), *_cells(baseline.scores, scores)]
        rows.append(_row(baseline.title, baseline.role, cells))
    return rows


def _validation(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _training(training: Training, headline: str) -> str:
    cost = training.cost
    gap = training.scores[f"gap/{headline}"]
    return (
        f"Kept: epoch {training.best_epoch + 1} of {training.epochs}, {training.monitor} "
        f"{training.scores[training.monitor]:.4f}. Gap between validation and train by {headline}: "
        f"{gap:+.4f}. {cost.parameters:,} parameters, "
        f"{units.elapsed(cost.seconds)} of training on {training.machine}, "
        f"{cost.peak_memory_mb:,} MB at most."
    )


def _evaluation(name: str) -> Evaluation:
    return Evaluation.read(Paths(name).evaluation / "evaluation.json")


def _seed(name: str) -> int:
    return int(tree.load(Paths(name).model / "config.yaml").seed)


def _row(title: str, role: str, cells: Iterable[str]) -> str:
    return f"| {title} | {role} | {' | '.join(cells)} |"


def _cells(scores: Mapping[str, Interval], names: list[str]) -> list[str]:
    cells = []
    for name in names:
        score = scores[name]
        cells.append(f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]")
    return cells

"""The table at the end of `make repro`: what each experiment scored, and against what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from goodfit.paths import Paths
from goodfit.records import TOO_FEW, Evaluation, Method, Training, Verdict
from goodfit.records.fit import Fit, Judgement
from goodfit.system import units
from goodfit.tracking import openings

_UNLIMITED = 10_000
_CAPTION = "The verdict is against the first baseline: the strongest on validation."
_COLOURS = {"beats": "green", "ties with": "yellow", "loses to": "red", TOO_FEW: "yellow"}

_FIT_COLOURS = {Fit.GOOD: "green", Fit.UNDERFIT: "yellow", Fit.TOO_FEW: "yellow"}


class _Row(NamedTuple):
    """What is told of an experiment, in rich's markup."""

    name: str
    score: str
    baselines: list[str]  # the strongest on validation first
    verdict: str
    fit: str
    seconds: str
    opened: str
    warnings: list[str]


def table(names: list[str], console: Console) -> RenderableType:
    """A row for each experiment: score, baselines, verdict, and seconds of training.

    Of the baselines the strongest on validation, where the score in parentheses is from, is first.

    Where the console is narrower than that, an experiment has lines of its own.

    Raises:
        UserError: an experiment has not been trained and evaluated.
    """
    rows = [_row(name) for name in names]
    baselines = "baseline (validation)"
    columns = ("experiment", "test score [95 % interval]", baselines, "verdict, fit", "seconds")
    wide = Table(*columns, box=SIMPLE_HEAD, collapse_padding=True, caption=_CAPTION)
    wide.caption_justify = "left"
    for row in rows:
        score, verdict = f"{row.score}\n{row.opened}", f"{row.verdict}\n{row.fit}"
        wide.add_row(row.name, score, "\n".join(row.baselines), verdict, row.seconds)
    # of the console's own options, the measure would never be more than its width
    unlimited = console.options.update(max_width=_UNLIMITED)
    if console.measure(wide, options=unlimited).maximum <= console.width:
        return Group(wide, *(warning for row in rows for warning in row.warnings))
    return Group(*(_lines(row) for row in rows), _CAPTION)


def _row(name: str) -> _Row:
    evaluation = Evaluation.read(Paths(name).evaluation / "evaluation.json")
    training = Training.read(Paths(name).model / "train.json")
    baselines = [item for item in evaluation.baselines if item.role != "trivial"]
    return _Row(
        name=f"[bold]{name}[/]",
        # rich would read an unescaped bracket as the start of a style
        score=f"{evaluation.score} {escape(evaluation.headline.text())}",
        baselines=[_baseline(item, evaluation) for item in baselines],
        verdict=_verdict(evaluation.verdict),
        fit=_fit(evaluation.fit),
        seconds=f"{training.cost.seconds:,.0f}",
        opened=openings.said(evaluation),
        warnings=list(_warnings(name, evaluation)),
    )


def _baseline(method: Method, evaluation: Evaluation) -> str:
    decimals = evaluation.headline.decimals
    test = units.fixed(method.scores[evaluation.score].value, decimals)
    if method.validation is None:
        return f"{test} {method.title}"
    return f"{test} ({units.fixed(method.validation, decimals)}) {method.title}"


def _lines(row: _Row) -> Padding:
    strongest, *others = row.baselines
    text = "\n".join(
        [
            row.name,
            row.score,
            f"{row.verdict} {strongest}",
            *others,
            f"fit: {row.fit}",
            f"{row.seconds} s of training",
            f"test {row.opened}",
            *row.warnings,
        ]
    )
    return Padding(text, (0, 0, 1, 0))


def _verdict(verdict: Verdict) -> str:
    trivial = ""
    if verdict.worse_than_trivial:
        trivial = ", worse than trivial"
    elif verdict.not_shown and not verdict.too_few:
        trivial = ", no better than trivial"
    colour = "red" if trivial else _COLOURS[verdict.word]
    return f"[{colour}]{verdict.word}{trivial}[/]"


def _fit(judgement: Judgement | None) -> str:
    if judgement is None:
        return "[yellow]undefined[/]"
    colour = _FIT_COLOURS.get(judgement.fit, "red")
    return f"[{colour}]{judgement.fit}[/]"


def _warnings(name: str, evaluation: Evaluation) -> Iterator[str]:
    """What is to be known besides: that all answers are alike, that test was opened before."""
    degenerate = evaluation.verdict.degenerate
    if degenerate:
        yield f"[red]{name}: {escape(degenerate)}[/]"
    meaning = openings.meaning(evaluation)
    if meaning:
        yield f"[yellow]{name}: {escape(meaning)}[/]"

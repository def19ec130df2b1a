"""The table at the end of `make repro`: what each experiment scored, and against what."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from goodfit.paths import Paths
from goodfit.records import Evaluation, Training, Verdict

_COLOURS = {"beats": "green", "ties with": "yellow", "loses to": "red"}


def table(names: list[str]) -> Table:
    """A row for each experiment: score, strong baseline, verdict, and seconds of training.

    Raises:
        UserError: an experiment has not been trained and evaluated.
    """
    columns = ("experiment", "test score [95 % interval]", "baseline", "verdict", "seconds")
    result = Table(*columns, box=SIMPLE_HEAD)
    for name in names:
        evaluation = Evaluation.read(Paths(name).evaluation / "evaluation.json")
        training = Training.read(Paths(name).model / "train.json")
        score, ours = evaluation.score, evaluation.headline
        theirs = evaluation.strong.scores[score].value
        result.add_row(
            f"[bold]{name}",
            # rich would read an unescaped bracket as the start of a style
            f"{score} {ours.value:.4f} \\[{ours.low:.4f}, {ours.high:.4f}]",
            f"{theirs:.4f} {evaluation.strong.title}",
            _verdict(evaluation.verdict),
            f"{training.cost.seconds:.0f}",
        )
    return result


def _verdict(verdict: Verdict) -> str:
    worse = ", worse than trivial" if verdict.worse_than_trivial else ""
    return f"[{_COLOURS[verdict.word]}]{verdict.word}{worse}"

"""The pages that a person reads: one for each experiment, one that compares them; each is a single
HTML file.
"""

from __future__ import annotations

import math
import statistics
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from goodfit.paths import Paths
from goodfit.records import Example, Interval
from goodfit.reporting import charts, error_charts, facts, words
from goodfit.reporting.facts import Experiment

_FILTERS = ("number", "fixed", "measured", "duration", "memory", "title", "better", "share", "unit")


def experiment_page(name: str) -> str:
    """The report of one experiment as HTML.

    Raises:
        UserError: a stage before it has not run.
    """
    experiment = Experiment.read(name)
    data = facts.data(experiment)
    evaluation = experiment.evaluation
    return _render(
        "experiment.html.j2",
        x=experiment,
        about=facts.about(experiment.spec) or "",
        verdict=_verdict(experiment),
        intervals=_intervals(experiment),
        scores=_scores(experiment),
        learning=_learning(experiment),
        errors=[error_charts.draw(chart, experiment) for chart in evaluation.charts],
        typical=[error_charts.draw(chart, experiment) for chart in evaluation.typical],
        examples=[_example(experiment, item) for item in evaluation.examples],
        data=data,
        config=facts.config(name),
        origin=facts.origin(experiment, data.manifest),
        code=facts.code(name),
    )


def comparison_page(experiments: list[Experiment]) -> str:
    """All experiments in one table; scores differ in kind, so each has its own scale."""
    rows = []
    for item in experiments:
        intervals = item.rows(trivial=False)
        strip = charts.strip(
            f"{words.title(item.evaluation.score)} of {item.name}",
            f"network {intervals[0].text}; {item.evaluation.strong.title} {intervals[-1].text}",
            intervals,
        )
        link = f"{item.name}/index.html" if Paths(item.name).page.exists() else ""
        rows.append({"x": item, "link": link, "strip": strip})
    return _render("comparison.html.j2", rows=rows)


def _verdict(x: Experiment) -> dict[str, str]:
    evaluation = x.evaluation
    unit = f" {x.score_unit}" if x.score_unit else ""
    theirs = evaluation.strong.scores[evaluation.score]
    text = (
        f"The network {x.badge['text']} on {evaluation.samples:,} test samples: "
        f"{words.title(evaluation.score)} {words.measured(evaluation.headline)}{unit} "
        f"against {words.measured(theirs)}{unit}. "
        f"Compared on the same samples it is {words.difference(evaluation.verdict.strong)}."
    )
    return {"text": text, "worse_than": " and ".join(evaluation.verdict.beaten_by)}


def _intervals(x: Experiment) -> list[Markup]:
    name, rows, differences = words.title(x.evaluation.score), x.rows(), x.differences()
    scores_told = "; ".join(f"{row.title} {row.text}" for row in rows)
    differences_told = "; ".join(f"better {row.title} by {row.text}" for row in differences)
    direction = words.better(x.evaluation.mode)
    return [
        charts.forest(
            f"Test {name} with 95 % intervals",
            scores_told,
            rows,
            label=f"{name}{words.unit(x.score_unit)} ({direction})",
        ),
        charts.forest(
            "How much better the network is",
            differences_told,
            differences,
            zero=True,
            label=f"difference in {name} (right of zero: the network is better)",
        ),
    ]


def _scores(x: Experiment) -> list[dict[str, Any]]:
    """One row for each score, the headline first; `cells` as the columns network, baselines."""
    evaluation = x.evaluation
    methods = [evaluation.network, *(item.scores for item in x.baselines)]
    rows = []
    for name in _score_names(x):
        rows.append(
            {
                "title": words.title(name),
                "better": words.better(evaluation.modes[name]),
                "cells": [words.measured(scores[name]) for scores in methods],
            }
        )
    return rows


def _learning(x: Experiment) -> dict[str, Any]:
    evaluation, training = x.evaluation, x.training
    rows = facts.history(x.name)
    curves = [name for name in ("loss", evaluation.score) if f"val/{name}" in rows[0]]
    table = []
    for name in ("loss", *_score_names(x)):
        cells = _three(training.scores, name, evaluation.network.get(name))
        table.append([words.title(name), *cells])
    seconds = [row["epoch_seconds"] for row in rows if "epoch_seconds" in row]
    return {
        "curves": [_curve(rows, name, training.best_epoch) for name in curves],
        "fit": words.fit(
            training, evaluation.score, evaluation.mode, facts.half_width(evaluation.headline)
        ),
        "stopping": words.stopping(training, rows),
        "table": table,
        "epoch_seconds": statistics.median(seconds) if seconds else math.nan,
    }


def _score_names(x: Experiment) -> list[str]:
    """The headline first."""
    headline = x.evaluation.score
    return [headline, *(name for name in x.evaluation.modes if name != headline)]


def _three(scores: dict[str, float], name: str, test: Interval | None) -> list[str]:
    """Train, validation and gap; one decimal more than the test score's interval deserves shows a
    small gap.
    """
    train, validation, gap = (scores[f"{split}/{name}"] for split in ("train", "val", "gap"))
    if test is None:
        return [words.number(train), words.number(validation), words.number(gap, sign=True)]
    places = min(4, words.decimals(test) + 1)
    fixed = [words.fixed(value, places) for value in (train, validation)]
    return [*fixed, words.fixed(gap, places, sign=True)]


def _curve(rows: list[dict[str, float]], name: str, kept: int) -> Markup:
    """Train and validation by epoch; readers count from one, Lightning from zero."""
    epochs = [int(row["epoch"]) + 1 for row in rows]
    curves = []
    for title, key, look in (("validation", "val", "accent"), ("train", "train", "truth")):
        values = [row.get(f"{key}/{name}", math.nan) for row in rows]
        curves.append(charts.Line(title, epochs, values, look))

    told = []
    if kept + 1 in epochs:
        place = epochs.index(kept + 1)
        told = [f"{words.number(curve.y[place])} on {curve.name}" for curve in curves]
    title = words.title(name)
    return charts.lines(
        f"{title[0].upper()}{title[1:]} by epoch",
        f"At the kept epoch {kept + 1} it is {' and '.join(told)}.",
        curves,
        x_label="epoch",
        y_label=title,
        mark=(kept + 1, f"kept: epoch {kept + 1}"),
    )


def _example(x: Experiment, item: Example) -> dict[str, Any]:
    """A bad sample as the template shows it: an answer in words or curves, and something to look
    at.
    """
    answer, exhibit = item.answer, item.exhibit
    unit = f" {x.unit}" if x.unit else ""
    statements = []
    for statement in answer.statements:
        value = statement.value
        shown = value if isinstance(value, str) else words.number(value, 4) + unit
        sure = "" if statement.probability is None else words.probability(statement.probability)
        statements.append((statement.who, shown, sure))

    chart: Markup | str = ""
    if answer.curves:
        chart = error_charts.forecast(
            f"Test sample {item.row}", answer.curves, exhibit.curve, unit=x.unit, step=x.step
        )
    return {
        "row": item.row,
        "loss": words.number(item.loss),
        "wrong": answer.wrong,
        "statements": statements,
        "chart": chart,
        "exhibit": exhibit,
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[f"as_{name}"] = getattr(words, name)
    return environment


def _render(template: str, **content: Any) -> str:
    return _environment().get_template(template).render(**content)

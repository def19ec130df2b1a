"""The pages for readers: one for each experiment and one that compares them, single HTML files."""

from __future__ import annotations

import math
import statistics
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from goodfit.paths import Paths
from goodfit.records import TOO_FEW, Answer, Example
from goodfit.records.interval import Interval
from goodfit.reporting import box_charts, charts, differences, error_charts, facts, fit, words
from goodfit.reporting.facts import Experiment
from goodfit.system import units
from goodfit.tracking import openings

# functions that templates may call, as as_number and so on
_FILTERS = {
    words: ("number", "fixed", "measured", "title", "better", "share", "unit"),
    units: ("elapsed", "size"),
}


def experiment_page(name: str, *, title: str | None = None, about: str | None = None) -> str:
    """The report of one experiment as HTML.

    `title` and `about` are the user's own words; otherwise its name, and what the data set says.

    Raises:
        UserError: a stage before it has not run, its file is broken, or a task asks for a chart
            that cannot be drawn.
    """
    experiment = Experiment.read(name)
    evaluation = experiment.evaluation
    data = facts.data(experiment)
    labels = {"unit": experiment.unit, "step": experiment.step}
    return render(
        "experiment.html.j2",
        experiment=experiment,
        title=title or name,
        about=about or facts.about(experiment.spec),
        verdict=_verdict(experiment),
        opened={
            "said": openings.said(experiment.evaluation),
            "meaning": openings.meaning(experiment.evaluation),
        },
        intervals=_intervals(experiment),
        scores=_scores(experiment),
        learning=_learning(experiment),
        errors=[error_charts.draw(chart, **labels) for chart in evaluation.charts],
        typical=[error_charts.draw(chart, **labels) for chart in evaluation.typical],
        examples=[_example(experiment, example) for example in evaluation.examples],
        ordinary=[_example(experiment, example) for example in evaluation.ordinary],
        data=data,
        config=facts.config(name),
        origin=facts.origin(experiment, data.manifest),
        code=facts.code(name),
    )


def comparison_page(experiments: list[Experiment]) -> str:
    """All experiments in one table as HTML; scores differ in kind, so each has its own scale."""
    rows = []
    for experiment in experiments:
        network, strong = experiment.rows(only_strong=True)
        intervals = charts.small_forest_plot(
            f"{words.title(experiment.evaluation.score)} of {experiment.name}",
            f"network {network.text}; {strong.title} {strong.text}",
            [network, strong],
        )
        has_page = Paths(experiment.name).page.exists()
        link = f"{experiment.name}/index.html" if has_page else None
        studies = (Paths(experiment.name).fit / "index.html").exists()
        fit_link = f"{experiment.name}/fit/index.html" if studies else None
        row = {"experiment": experiment, "link": link, "fit_link": fit_link}
        rows.append(row | {"intervals": intervals})
    return render("comparison.html.j2", rows=rows)


def _verdict(experiment: Experiment) -> dict[str, str | None]:
    """The verdict in two sentences, and what a reader must be warned of, if anything."""
    evaluation = experiment.evaluation
    unit = f" {experiment.score_unit}" if experiment.score_unit else ""
    theirs = evaluation.strong.scores[evaluation.score]
    verdict = evaluation.verdict
    relation = f"The network {experiment.verdict} on {evaluation.samples:,} test samples"
    if verdict.too_few:
        relation = (
            f"{TOO_FEW.capitalize()} ({verdict.too_few}) whether the network is better than "
            f"{verdict.strong.title}"
        )
    text = (
        f"{relation}: "
        f"{words.title(evaluation.score)} {words.measured(evaluation.headline)}{unit} "
        f"against {words.measured(theirs)}{unit}. "
        f"Compared on the same samples it is {words.difference(verdict.strong)}."
    )
    others = [item for item in evaluation.baselines if item.role == "other"]
    if others:
        count = len(others) + 1
        text += f" Of {count} baselines {evaluation.strong.title} is the strongest on validation."
    if verdict.lost_to:
        text += f" The network loses to {' and '.join(verdict.lost_to)}, weaker there."
    not_shown = [] if verdict.too_few or verdict.beaten_by else verdict.not_shown
    return {
        "text": text,
        "worse_than": " and ".join(verdict.beaten_by) or None,
        "not_better_than": " and ".join(not_shown) or None,
        "degenerate": verdict.degenerate,
    }


def _intervals(experiment: Experiment) -> list[Markup]:
    """Two forest plots: the headline score of all methods, and the paired differences."""
    name = words.title(experiment.evaluation.score)
    direction = words.better(experiment.evaluation.mode)
    scores, differences = experiment.rows(), experiment.differences()
    return [
        charts.forest_plot(
            f"Test {name} with 95 % intervals",
            "; ".join(f"{row.title} {row.text}" for row in scores),
            scores,
            label=f"{name}{words.unit(experiment.score_unit)} ({direction})",
        ),
        charts.forest_plot(
            "How much better the network is",
            "; ".join(f"better {row.title} by {row.text}" for row in differences),
            differences,
            include_zero=True,
            label=f"difference in {name} (right of zero: the network is better)",
        ),
    ]


def _scores(experiment: Experiment) -> list[dict[str, Any]]:
    """One row for each score, the headline first; `cells` as the columns network, baselines."""
    evaluation = experiment.evaluation
    methods = [evaluation.network, *(item.scores for item in experiment.baselines)]
    rows = []
    for name in _score_names(experiment):
        row = {
            "title": words.title(name),
            "better": words.better(evaluation.modes[name]),
            "cells": [words.measured(scores[name]) for scores in methods],
        }
        rows.append(row)
    rows.insert(1, _on_validation(experiment))
    return rows


def _on_validation(experiment: Experiment) -> dict[str, Any]:
    """The headline score of each method there: the best of the baselines is the strong one."""
    evaluation = experiment.evaluation
    score, decimals = evaluation.score, evaluation.headline.decimals
    # a training may have watched other scores than those of test
    network = experiment.training.scores.get(f"val/{score}")
    values = [network, *(item.validation for item in experiment.baselines)]
    return {
        "title": f"{words.title(score)} on validation",
        "better": "the best baseline here is the strong one",
        "cells": [words.DASH if x is None else words.fixed(x, decimals) for x in values],
    }


def _learning(experiment: Experiment) -> dict[str, Any]:
    """Learning curves, what they say in words, and the scores of the kept weights."""
    evaluation, training = experiment.evaluation, experiment.training
    history = facts.history(experiment.name)
    curves = []
    for name in ("loss", evaluation.score):
        if f"val/{name}" in history[0]:
            curves.append(_curve(history, name, training.best_epoch))

    table = []
    for name in ("loss", *_score_names(experiment)):
        cells = _kept_scores(training.scores, name, evaluation.network.get(name))
        table.append([words.title(name), *cells])

    # an empty cell is NaN, which no order has: `median` would give any of the others
    seconds = [row.get("epoch_seconds", math.nan) for row in history]
    measured = [value for value in seconds if math.isfinite(value)]
    return {
        "curves": curves,
        "fit": _fit(experiment),
        "table": table,
        "epoch_seconds": statistics.median(measured) if measured else math.nan,
    }


def _fit(experiment: Experiment) -> dict[str, Any]:
    """The judgement's word, its sentences, and remedies as commands to paste."""
    judgement = experiment.evaluation.fit
    if judgement is None:
        return {"word": None, "sentences": [fit.UNDEFINED], "remedies": []}
    train = f"python pipelines/train.py experiment={experiment.name}"
    return {
        "word": str(judgement.fit),
        "sentences": fit.told(judgement),
        "remedies": [(f"{train} {item.override}", item.why) for item in judgement.remedies],
    }


def _score_names(experiment: Experiment) -> list[str]:
    """All scores of the task, the headline first."""
    headline = experiment.evaluation.score
    return [headline, *(name for name in experiment.evaluation.modes if name != headline)]


def _kept_scores(scores: dict[str, float], name: str, test: Interval | None) -> list[str]:
    """A score on train, on validation, and their gap; `test` is its interval, None for the loss."""
    train, validation, gap = (scores[f"{split}/{name}"] for split in ("train", "val", "gap"))
    if test is None:
        return [words.number(train), words.number(validation), words.number(gap, sign=True)]
    # one decimal more than the test score's interval deserves shows a small gap
    decimals = min(4, test.decimals + 1)
    return [
        words.fixed(train, decimals),
        words.fixed(validation, decimals),
        words.fixed(gap, decimals, sign=True),
    ]


def _curve(history: list[dict[str, float]], name: str, kept: int) -> Markup:
    """Train and validation by epoch; readers count from one, Lightning from zero."""
    epochs = [int(row["epoch"]) + 1 for row in history]
    curves = []
    for title, split, css_class in (("validation", "val", "accent"), ("train", "train", "truth")):
        values = [row.get(f"{split}/{name}", math.nan) for row in history]
        curves.append(charts.Line(title, epochs, values, css_class))

    kept_values = []
    if kept + 1 in epochs:
        index = epochs.index(kept + 1)
        kept_values = [f"{words.number(curve.y[index])} on {curve.name}" for curve in curves]
    title = words.title(name)
    return charts.line_chart(
        f"{title[0].upper()}{title[1:]} by epoch",
        f"At the kept epoch {kept + 1} it is {' and '.join(kept_values)}.",
        curves,
        x_label="epoch",
        y_label=title,
        marker=charts.Marker(kept + 1, f"kept: epoch {kept + 1}"),
    )


def _example(experiment: Experiment, example: Example) -> dict[str, Any]:
    """One sample for the template: its answer in words, curves or boxes, and its inputs."""
    answer, exhibit = example.answer, example.exhibit
    unit = f" {experiment.unit}" if experiment.unit else ""
    chart = None
    if answer.curves:
        chart = error_charts.forecast(
            f"Test sample {example.row}",
            dict(answer.curves),
            exhibit.curve,
            unit=experiment.unit,
            step=experiment.step,
        )
    if answer.size and exhibit.picture:
        title = f"Test sample {example.row}"
        photo = f"data:image/{exhibit.picture_format};base64,{exhibit.picture}"
        chart = box_charts.picture(title, photo, answer.size, answer.boxes)
    return {
        "row": example.row,
        "loss": words.number(example.loss),
        "wrong": answer.wrong,
        "statements": _statements(answer, unit),
        "chart": chart,
        "has_boxes": answer.size is not None,
        "exhibit": exhibit,
    }


def _statements(answer: Answer, unit: str) -> list[tuple[str, str, str | None]]:
    """Who says what with which probability; of two texts the words that differ are marked."""
    statements = answer.statements
    texts = [item.value for item in statements if isinstance(item.value, str)]
    # a class has a probability, and no words of its own
    if len(texts) == len(statements) == 2 and statements[0].probability is None:
        marked = differences.marked(*texts)
        return [(item.who, text, None) for item, text in zip(statements, marked, strict=True)]

    rows = []
    for item in statements:
        value = item.value
        if not isinstance(value, str):
            value = words.number(value, 4) + unit
        probability = None if item.probability is None else words.probability(item.probability)
        rows.append((item.who, value, probability))
    return rows


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelled name fails instead of leaving a hole in the page
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for module, names in _FILTERS.items():
        for name in names:
            environment.filters[f"as_{name}"] = getattr(module, name)
    return environment


def render(template: str, **content: Any) -> str:
    """The HTML of a template, filled with `content`.

    Raises:
        UndefinedError: the template asks for what is not there.
    """
    return _environment().get_template(template).render(**content)

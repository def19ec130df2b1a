"""The pages that a person reads: one for each experiment, one that compares them; each is a single HTML file."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from goodfit import charts, report_errors, report_facts, report_words
from goodfit.files import write_text
from goodfit.places import Places
from goodfit.report_facts import Experiment

if TYPE_CHECKING:
    from omegaconf import DictConfig

INDEX = Path("report/index.html")
TYPICAL = {"a good one (better than 90 %)": 0.1, "a middling one": 0.5, "a bad one (worse than 90 %)": 0.9}


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: report/<experiment>/index.html, and report/index.html anew, which compares all experiments."""
    page = Places(cfg.name).page
    write_text(page, experiment_page(cfg.name))
    found = report_facts.experiments()
    write_text(INDEX, comparison_page(found))
    print(f"wrote {page} and {INDEX} ({len(found)} experiment{'s' if len(found) != 1 else ''})")


def experiment_page(name: str) -> str:
    """The report of one experiment as HTML; raises UserError where a stage before it has not run."""
    experiment = Experiment.read(name)
    facts = report_facts.data(experiment)
    arrays = report_facts.predictions(name)
    return _render(
        "experiment.html.j2",
        x=experiment,
        about=report_facts.about(experiment.spec),
        verdict=_verdict(experiment),
        intervals=_intervals(experiment),
        scores=_scores(experiment),
        learning=_learning(experiment),
        errors=_errors(experiment, arrays),
        typical=_typical(experiment, arrays),
        examples=[_example(experiment, item) for item in experiment.evaluation["examples"]],
        data=facts,
        config=report_facts.config(name),
        origin=report_facts.origin(experiment, facts["manifest"]),
        code=report_facts.code(name),
    )


def comparison_page(found: list[Experiment]) -> str:
    """All experiments in one table; scores differ in kind, so each has its own scale."""
    rows = [
        {
            "x": item,
            "link": f"{item.name}/index.html" if Places(item.name).page.exists() else "",
            "strip": charts.strip(
                f"{report_words.title(item.score)} of {item.name}",
                f"network {item.rows()[0].text}; {item.strong['title']} {item.rows(('strong',))[-1].text}",
                item.rows(("strong",)),
            ),
        }
        for item in found
    ]
    return _render("comparison.html.j2", rows=rows)


def _verdict(x: Experiment) -> dict[str, Any]:
    theirs, unit = x.strong["scores"][x.score], x.score_unit.replace(" in", "")
    useless = [
        item["title"]
        for item in x.evaluation["verdict"]["against"]
        if item["role"] == "trivial" and item["outcome"] < 0
    ]
    return {
        "text": f"The network {x.badge['text']} on {x.evaluation['samples']:,} test samples: "
        f"{report_words.title(x.score)} {report_words.measured(x.found)}{unit} "
        f"against {report_words.measured(theirs)}{unit}. "
        f"Compared on the same samples it is {report_words.difference(x.against)}.",
        "useless": " and ".join(useless),
    }


def _intervals(x: Experiment) -> list[Markup]:
    name, rows, differences = report_words.title(x.score), x.rows(), x.differences()
    told = "; ".join(f"{row.title} {row.text}" for row in rows)
    compared = "; ".join(f"better {row.title} by {row.text}" for row in differences)
    arrow = f"{name}{x.score_unit} ({report_words.better(x.mode)})"
    return [
        charts.forest(f"Test {name} with 95 % intervals", told, rows, label=arrow),
        charts.forest(
            "How much better the network is",
            compared,
            differences,
            zero=True,
            label=f"difference in {name} (right of zero: the network is better)",
        ),
    ]


def _scores(x: Experiment) -> list[dict[str, Any]]:
    """One row for each score, the headline first; `cells` as the columns network, baselines."""
    names = [x.score, *(name for name in x.evaluation["modes"] if name != x.score)]
    methods = [x.evaluation["network"], *(item["scores"] for item in x.baselines)]
    return [
        {
            "title": report_words.title(name),
            "better": report_words.better(x.evaluation["modes"][name]),
            "cells": [report_words.measured(method[name]) for method in methods],
        }
        for name in names
    ]


def _learning(x: Experiment) -> dict[str, Any]:
    rows, kept = report_facts.history(x.name), x.train["best_epoch"]
    scores = x.train["scores"]
    half = report_facts.half_width(x.found)
    return {
        "curves": [_curve(rows, name, kept) for name in ("loss", x.score) if f"val/{name}" in rows[0]],
        "fit": report_words.fit(x.train, x.score, x.mode, half),
        "stopping": report_words.stopping(x.train, rows),
        "table": [
            [report_words.title(name), *_three(scores, name, x.evaluation["network"].get(name))]
            for name in ("loss", x.score, *(name for name in x.evaluation["modes"] if name != x.score))
        ],
        "epoch_seconds": float(np.nanmedian([row.get("epoch_seconds", math.nan) for row in rows])),
    }


def _three(scores: dict[str, float], name: str, found: dict[str, float] | None) -> list[str]:
    """Train, validation and gap; one decimal more than the test score's interval deserves shows a small gap."""
    values = [scores[f"{split}/{name}"] for split in ("train", "val", "gap")]
    if found is None:
        return [report_words.number(value, sign=place == 2) for place, value in enumerate(values)]
    places = min(4, report_words.decimals(found) + 1)
    return [report_words.fixed(value, places, sign=place == 2) for place, value in enumerate(values)]


def _curve(rows: list[dict[str, float]], name: str, kept: int) -> Markup:
    """Train and validation by epoch; readers count from one, Lightning from zero."""
    epochs = [int(row["epoch"]) + 1 for row in rows]
    looks = {"validation": ("val", "accent"), "train": ("train", "truth")}
    curves = [
        charts.Line(title, epochs, [row.get(f"{key}/{name}", math.nan) for row in rows], look)
        for title, (key, look) in looks.items()
    ]
    title = report_words.title(name)
    at = {curve.name: curve.y[epochs.index(kept + 1)] for curve in curves if kept + 1 in epochs}
    values = " and ".join(f"{report_words.number(value)} on {split}" for split, value in at.items())
    return charts.lines(
        f"{title[0].upper()}{title[1:]} by epoch",
        f"At the kept epoch {kept + 1} it is {values}.",
        curves,
        x_label="epoch",
        y_label=title,
        mark=(kept + 1, f"kept: epoch {kept + 1}"),
    )


def _errors(x: Experiment, arrays: dict[str, np.ndarray[Any, Any]]) -> list[tuple[str, Markup, str]]:
    """Charts of the errors, each with a title and what a reader should look for in each."""
    shape = x.evaluation["shape"]
    if x.spec.kind == "class":
        calibration = shape["calibration"]
        return [
            (
                "Confusion matrix",
                report_errors.confusion(shape["confusion"], shape["labels"]),
                "Shade: the square root of the share of the row, so that rare errors can be seen.",
            ),
            (
                "Calibration",
                report_errors.reliability(calibration),
                f"Expected calibration error {calibration['ece']:.3f}: the mean distance of confidence and accuracy. "
                "Below the dashed line the network is too sure of itself. Bars are 95 % intervals.",
            ),
        ]
    within = [
        f"{report_words.share(float(part), 1)} lie within ±{report_words.number(size)}"
        for part, size in shape["within"].items()
    ]
    mean = report_words.number(shape["residuals"]["mean"], sign=True)
    told = f"Of all errors {', '.join(within)}. Their mean, the bias, is {mean}."
    found = [("Sizes of errors", report_errors.residuals(shape["residuals"], x.unit), told)]
    if x.spec.kind == "number" and arrays:
        chart = report_errors.scatter(arrays["network"], arrays["target"], x.unit)
        found.append(
            ("Prediction and truth", chart, "Each dot is a test sample; on the dashed line the prediction is right.")
        )
    if "mae_by_step" in shape:
        steps = {"network": shape["mae_by_step"], **_steps(x, arrays)}
        chart = report_errors.by_step(steps, x.unit, x.step)
        found.append(("Error by step", chart, "Where in the horizon the network wins or loses."))
    return found


def _steps(x: Experiment, arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, list[float]]:
    """The strong baseline and the best of the trivial ones; a third would squeeze the network's curve."""
    titles = {item["title"]: item["title"].replace(" ", "_") for item in x.evaluation["baselines"]}
    errors = {title: np.abs(arrays[key] - arrays["target"]).mean(0) for title, key in titles.items() if key in arrays}
    best = min((title for title in errors if title != x.strong["title"]), key=lambda t: errors[t].mean(), default="")
    return {title: errors[title].tolist() for title in (x.strong["title"], best) if title in errors}


def _typical(x: Experiment, arrays: dict[str, np.ndarray[Any, Any]]) -> list[tuple[str, Markup]]:
    """Forecasts at three ranks of the error: the worst ones alone would tell a wrong story."""
    if x.spec.kind != "series" or not arrays:
        return []
    errors = np.abs(arrays["network"] - arrays["target"]).mean(1)
    order = np.argsort(errors)
    key = x.strong["title"].replace(" ", "_")
    found = []
    for words, rank in TYPICAL.items():
        place = int(order[round(rank * (len(order) - 1))])
        curves = {"truth": arrays["target"][place].tolist(), "network": arrays["network"][place].tolist()}
        if key in arrays:
            curves[x.strong["title"]] = arrays[key][place].tolist()
        chart = report_errors.forecast(f"Test sample {place}", curves, y_label=f"value{x.unit}", step=x.step)
        found.append((f"Test sample {place}, {words}", chart))
    return found


def _example(x: Experiment, item: dict[str, Any]) -> dict[str, Any]:
    """A bad sample as the template shows it: an answer in words, and something to look at."""
    shown = {"row": item["row"], "loss": report_words.number(item["loss"]), "wrong": False, "answer": [], "chart": ""}
    if x.spec.kind == "class":
        sure, truth = (report_words.probability(item[key]) for key in ("probability", "probability_of_truth"))
        shown["wrong"] = item["truth"] != item["prediction"]
        shown["answer"] = [("truth", item["truth"], truth), ("network", item["prediction"], sure)]
    elif x.spec.kind == "number":
        values = {"truth": item["truth"], "network": item["prediction"]}
        unit = x.unit.replace(" in", "")
        shown["answer"] = [(key, report_words.number(value, 4) + unit, "") for key, value in values.items()]
    else:
        curves = {"truth": item["truth"], "network": item["prediction"]}
        shown["chart"] = report_errors.forecast(
            f"Test sample {item['row']}", curves, item.get("past", ()), y_label=f"value{x.unit}", step=x.step
        )
    return {"image": "", "text": "", "columns": {}, "start": "", **item, **shown}


@cache
def _environment() -> Environment:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("number", "fixed", "measured", "duration", "memory", "title", "better", "share"):
        environment.filters[f"as_{name}"] = getattr(report_words, name)
    return environment


def _render(template: str, **content: Any) -> str:
    return _environment().get_template(template).render(**content)

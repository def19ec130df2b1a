"""What MLflow shows of a whole experiment and of a model: description, verdict, links, a view.

The pages of MLflow keep their columns in the browser: of what they show first, only a saved view
belongs to the experiment. Links are relative to the page, whose address nobody here knows.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from goodfit.records import Evaluation, Method

if TYPE_CHECKING:
    from goodfit.tracking.runs import Run

# MLflow's own tags: the Markdown above the runs, a view in the menu "Views", and that it is no
# experiment with language models, of which the page would show other columns
_NOTE = "mlflow.note.content"
_VIEW = "mlflow.sharedViewState"
_KIND, _TRAINING = "mlflow.experimentKind", "custom_model_development"
_VIEW_KEY = "goodfit"


def single_metric(section: str, name: str) -> str:
    """The name of a metric with one value, such as test_accuracy or final_val_loss.

    MLflow's page of a run puts what has a slash in sections by the alphabet, and what has none
    after them: so the curves of train/ and val/ stand before dozens of single bars.
    """
    return f"{section}_{name}".replace("/", "_")


def baseline_metric(score: str, baseline: Method) -> str:
    """The name of the metric that holds a baseline's score; MLflow takes few signs."""
    title = re.sub(r"[^a-zA-Z0-9]+", "_", baseline.title)
    return f"baseline_{score}_{title}"


def describe_experiment(run: Run, result: Evaluation) -> None:
    """The experiment says what its model is and how it compares, and has a view of its runs."""
    client, experiment = run.client, run.experiment
    runs = f"#/experiments/{experiment}/runs"
    lines = [
        # folded up, the page shows the first paragraph alone
        f"On test, {result.verdict.text}. "
        f"[Report]({_report(experiment, run.run_id)}) of the last evaluated run, "
        f"[all runs]({runs}?viewStateShareKey={_VIEW_KEY}) with score, baseline and verdict.",
        f"{result.subject}, {result.model}.",
        "The tag `goodfit.started_by` tells runs of `dvc repro`, by `hand`, `sweep`, `trial` and "
        "`confirmation` apart; in the search field, for example, "
        "``tags.`goodfit.started_by` = 'trial'``.",
    ]
    client.set_experiment_tag(experiment, _NOTE, "\n\n".join(lines))
    client.set_experiment_tag(experiment, _KIND, _TRAINING)
    client.set_experiment_tag(experiment, f"{_VIEW}.{_VIEW_KEY}", _view(result))


def describe_version(run: Run, version: str, result: Evaluation, decision: str) -> None:
    """The registered model and this version of it say how good they are, with the report."""
    name = result.experiment
    run.client.update_registered_model(
        name, f"{result.subject}: {result.model}. The alias `champion` is the version to use."
    )
    lines = [
        f"On test: {result.verdict.text}.",
        f"{decision[0].upper()}{decision[1:]}.",
        f"[Report]({_report(run.experiment, run.run_id)}), "
        f"[run](#/experiments/{run.experiment}/runs/{run.run_id}).",
    ]
    run.client.update_model_version(name, version, "\n\n".join(lines))


def _report(experiment: str, run_id: str) -> str:
    return f"#/experiments/{experiment}/runs/{run_id}/artifacts/report/index.html"


def _view(result: Evaluation) -> str:
    """A saved view as MLflow 3.17 stores it: columns and order of the table of runs."""
    score = f"metrics.`test_{result.score}`"
    baseline = f"metrics.`{baseline_metric(result.score, result.strong)}`"
    widths = {
        score: 150,
        baseline: 220,
        "tags.`goodfit.started_by`": 120,
        "tags.`goodfit.verdict`": 900,
    }
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(widths),
        "columnOrder": list(widths),
        "columnWidths": widths,
        "runsHiddenMode": "FIRST_10_RUNS",
    }
    now = int(time.time() * 1000)
    return json.dumps(
        {
            "name": "score, baseline, verdict",
            "createdAt": now,
            "updatedAt": now,
            "state": json.dumps(state),
        }
    )

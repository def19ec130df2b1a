"""Which models have answered a test set: what is left of its meaning when another one does.

A test set tells the truth about the one model that it is opened for. Each further one may have been
chosen by the scores of those before (Dwork et al. 2015, "The reusable holdout"). So every pair of a
test set and the weights that answered it is kept, in a text file of the repository, which git
merges as a union of lines, and as tags of runs in MLflow; either brings back the other.
Docs: docs/decisions/0043-openings-of-test.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from goodfit.paths import Paths
from goodfit.records import Evaluation
from goodfit.system.files import write_text

if TYPE_CHECKING:
    from goodfit.tracking.runs import Run

_TEST, _WEIGHTS = "test_sha256", "weights_sha256"
_PAGE = 1000  # runs that MLflow is asked for at once


def opened_by(run: Run, evaluation: Evaluation) -> tuple[str, ...]:
    """The hashes of the weights that have opened its test set, its own among them; all are kept.

    Those of the file and of the runs of the experiment, also of deleted ones.
    """
    models = {evaluation.weights_sha256, *_in_mlflow(run, evaluation.test_sha256)}
    for test, weights in _read(evaluation.experiment):
        if test == evaluation.test_sha256:
            models.add(weights)
    keep(evaluation.experiment, evaluation.test_sha256, models)
    return tuple(sorted(models))


def said(evaluation: Evaluation) -> str:
    """How often its test set was opened, in a few words; of an older file nobody knows.

    The same weights again are the same opening: they say nothing new.
    """
    count = len(evaluation.opened_by)
    return {0: "opened, not counted", 1: "opened once"}.get(count, f"opened by {count} models")


def meaning(evaluation: Evaluation) -> str | None:
    """What several openings do to the score; None of one."""
    count = len(evaluation.opened_by)
    if count < 2:
        return None
    return (
        f"this test set has been opened by {count} models of this experiment: whoever sees a score "
        "chooses the next model by it, so the best of several is optimistic, and the score of a "
        "new one counts less (Dwork et al. 2015)"
    )


def tags(evaluation: Evaluation) -> dict[str, str]:
    """What tells of a run which test set its weights have opened, and how often it was."""
    hashes = {_TEST: evaluation.test_sha256, _WEIGHTS: evaluation.weights_sha256}
    return {**hashes, "test_opened": meaning(evaluation) or said(evaluation)}


def keep(experiment: str, test_sha256: str, models: Iterable[str]) -> None:
    """The file has these models of an experiment, beside all that it had."""
    before = _read(experiment)
    pairs = before | {(test_sha256, weights) for weights in models}
    if pairs != before:
        lines = [f"{test} {weights}\n" for test, weights in sorted(pairs)]
        write_text(Paths(experiment).openings, "".join(lines))


def _read(experiment: str) -> set[tuple[str, str]]:
    """The pairs of test set and weights in the file of an experiment; none without a file."""
    path = Paths(experiment).openings
    if not path.exists():
        return set()
    # a merge may have left a line twice, and the marks of a conflict are no pairs
    pairs = (line.split() for line in path.read_text().splitlines())
    return {(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and len(pair[0]) == len(pair[1])}


def _in_mlflow(run: Run, test_sha256: str) -> Iterator[str]:
    """The weights of the runs of the experiment that opened the test set."""
    from mlflow.entities import ViewType

    condition, token = f"tags.`goodfit.{_TEST}` = '{test_sha256}'", None
    while True:
        page = run.client.search_runs(
            [run.experiment], condition, ViewType.ALL, max_results=_PAGE, page_token=token
        )
        for other in page:
            yield other.data.tags[f"goodfit.{_WEIGHTS}"]
        token = page.token
        if not token:
            return

"""The registry: every evaluated model becomes a version; `champion` moves only on evidence.

Docs: docs/decisions/0009-champion-on-the-same-test.md, 0029-what-test-data-cannot-tell.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from goodfit.errors import UserError
from goodfit.records import TOO_FEW, Evaluation, Registration, Verdict
from goodfit.records.interval import Interval
from goodfit.system.files import read_json
from goodfit.tracking import database, places
from goodfit.tracking.lookup import ALIAS, MODEL_TAG, has_files

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


# as MLflow writes the address of a version
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Standing:
    """What decides which version is champion: the headline score on one test set.

    `unfit` says why a model is champion in no company, `but` what is to be known of one that is,
    `files` is the hash of the model's.
    """

    name: str
    score: float
    mode: str
    test_sha256: str
    unfit: str | None = None
    but: str | None = None
    files: str | None = None


class Paired(NamedTuple):
    """A new model against the champion on the same test samples: 1 better, 0 tied, -1 worse."""

    outcome: int
    difference: Interval


class Decision(NamedTuple):
    """Whether a version is champion, and why or why not."""

    champion: bool
    reason: str


def standing_of(result: Evaluation) -> Standing:
    """The standing of an evaluated model."""
    return Standing(
        name=result.score,
        score=result.headline.value,
        mode=result.mode,
        test_sha256=result.test_sha256,
        unfit=_unfit(result.verdict),
        but=_but(result),
    )


def decide(new: Standing, old: Standing | None, compare: Callable[[], Paired | str]) -> Decision:
    """Whether a new model becomes champion after one of standing `old`, None for the first.

    `compare` compares both on the same test samples, or says why it cannot; it is called only where
    their scores are of one kind and one test set.
    """
    if not math.isfinite(new.score):
        return Decision(False, f"not champion: its {new.name} is {new.score}")
    if new.unfit:
        return Decision(False, f"not champion: {new.unfit}")
    but = f"; {new.but}" if new.but else ""
    if old is None:
        reason = f"the first that is shown to be better than trivial ({new.score:.4f})"
        return Decision(True, f"champion: {reason}{but}")
    if new.test_sha256 != old.test_sha256:
        hashes = f"{old.test_sha256[:8]}, here {new.test_sha256[:8]}"
        return Decision(
            False,
            f"not champion: the present one was tested on other data ({hashes}); "
            "scores on different data do not compare; move the alias by hand, or delete it",
        )
    if (new.name, new.mode) != (old.name, old.mode):
        return Decision(
            False,
            f"not champion: measured by {new.name}, the present one by {old.name}; "
            f"set task.score={old.name}",
        )

    paired = compare()
    if isinstance(paired, str):
        return Decision(False, f"not champion: no comparison with the present one: {paired}")
    # a score that is higher by a single sample of 891 is no evidence
    scores = f"{new.score:.4f} against {old.score:.4f} on the same test samples"
    difference = f"better by {paired.difference.text(sign=True)}, {scores}"
    if paired.outcome > 0:
        return Decision(True, f"champion: {difference}{but}")
    # the old version goes on answering by the code of before, which was mended since
    if paired.outcome == 0 and new.files is not None and new.files == old.files:
        return Decision(True, f"champion: the present one's files, with the code of now{but}")
    return Decision(
        False, f"not champion: not shown to be better than the present one: {difference}"
    )


def promote(
    client: MlflowClient,
    name: str,
    version: str,
    new: Standing,
    compare: Callable[[ModelVersion], Paired | str],
) -> Decision:
    """Moves the alias if `decide` says so; the version keeps its standing as tags.

    `compare` compares the version with the present champion on the same test samples.

    Raises:
        MlflowException: the registry fails; the champion stays.
    """
    present = champion(client, name)
    if present and str(present.version) == version:
        unfit = f", though {new.unfit}" if new.unfit else ""
        reason = f"still champion: the same model as before ({new.score:.4f}){unfit}"
        return Decision(True, reason)

    tags = client.get_model_version(name, version).tags
    decision = _decide(replace(new, files=tags.get(MODEL_TAG)), present, compare)
    _keep(client, name, version, new, decision)
    return decision


def restore(client: MlflowClient, version: str, new: Standing, recorded: Registration) -> None:
    """A version that was lost, and is registered again, has the standing that was recorded for it.

    The alias comes back where no version has it, or only one whose files are lost; another one has
    become champion since, or is that of a registry which others share.

    Raises:
        MlflowException: the registry fails.
    """
    name = recorded.model
    present = champion(client, name)
    is_free = present is None or not _can_be_loaded(client, present)
    decision = Decision(recorded.champion, recorded.reason)
    if decision.champion and not is_free and str(present.version) != version:  # type: ignore[union-attr]
        reason = f"version {present.version} has become champion since"  # type: ignore[union-attr]
        decision = Decision(False, f"not champion: {reason}")
    _keep(client, name, version, new, decision)


def _can_be_loaded(client: MlflowClient, version: ModelVersion) -> bool:
    location = client.get_model_version_download_uri(version.name, version.version)
    return has_files(client.tracking_uri, location, "MLmodel")


def _keep(
    client: MlflowClient, name: str, version: str, standing: Standing, decision: Decision
) -> None:
    """The version has its standing and the decision as tags, and the alias if it is champion."""
    tags = {
        "score_name": standing.name,
        "score": repr(standing.score),  # unrounded
        "mode": standing.mode,
        "test_sha256": standing.test_sha256,
        "decision": decision.reason,
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, version, f"goodfit.{key}", value)
    if decision.champion:
        client.set_registered_model_alias(name, ALIAS, version)


def _decide(
    new: Standing,
    present: ModelVersion | None,
    compare: Callable[[ModelVersion], Paired | str],
) -> Decision:
    """What `decide` says of a new model and the present champion, None where there is none."""
    if present is None:
        return decide(new, None, lambda: "there is none")
    old = _tagged_standing(present)
    if old is None:
        reason = f"version {present.version} is, and carries no score to compare with"
        return Decision(False, f"not champion: {reason}")
    return decide(new, old, partial(compare, present))


def evaluation_of(version: ModelVersion, client: MlflowClient, folder: Path) -> Path | None:
    """What evaluate wrote of a version, brought into `folder`; None where its run lacks it.

    Of the test set that the version's tags name: since then it may have been evaluated on another.
    """
    from mlflow.exceptions import MlflowException

    try:
        copied = Path(client.download_artifacts(str(version.run_id), "evaluation", str(folder)))
        record = read_json(copied / "evaluation.json")
    except (MlflowException, OSError, UserError):
        return None
    if record.get("test_sha256") != version.tags.get("goodfit.test_sha256"):
        return None
    return copied


def model_of(version: ModelVersion, client: MlflowClient, folder: Path) -> Path | None:
    """The three files of a version's model, brought into `folder`; None where they are gone."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        copied = mlflow.artifacts.download_artifacts(
            artifact_uri=client.get_model_version_download_uri(version.name, version.version),
            dst_path=str(folder),
            tracking_uri=client.tracking_uri,
        )
    except (MlflowException, OSError):
        return None
    weights = next(Path(copied).rglob("weights.pt"), None)
    return weights.parent if weights else None


def fetched(address: str, folder: Path) -> Path:
    """The model at models:/<name>@<alias> or models:/<name>/<version>, brought into `folder`.

    Raises:
        UserError: the registry does not answer, has no such version, or its files are gone.
    """
    from mlflow.exceptions import MlflowException

    form = _ADDRESS.fullmatch(address)
    if form is None:
        raise UserError(f"{address}: expected models:/<name>@<alias> or models:/<name>/<version>")
    client = database.connect(places.of_environment())
    try:
        version = (
            client.get_model_version_by_alias(form["name"], form["alias"])
            if form["alias"]
            else client.get_model_version(form["name"], form["version"])
        )
    except MlflowException as error:
        raise UserError(f"{address}: {error.message}") from None
    model = model_of(version, client, folder)
    if model is None:
        raise UserError(f"{address}: the files of version {version.version} are gone")
    return model


def champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that is champion, None where there is none or no such model."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        # a missing alias is told as the first, a missing model as the second; after any other
        # error there may well be a champion
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            return None
        raise


def _tagged_standing(version: ModelVersion) -> Standing | None:
    """What `promote` kept of a version; None where something else made it champion."""
    tags = version.tags
    try:
        return Standing(
            name=tags["goodfit.score_name"],
            score=float(tags["goodfit.score"]),
            mode=tags["goodfit.mode"],
            test_sha256=tags["goodfit.test_sha256"],
            files=tags.get(MODEL_TAG),
        )
    except KeyError:
        return None


def _unfit(verdict: Verdict) -> str | None:
    """Why no evidence makes this model champion; None where it is better than trivial."""
    if verdict.too_few:
        return f"{TOO_FEW}: {verdict.too_few}"
    alike = f"; {verdict.degenerate}" if verdict.degenerate else ""
    if verdict.worse_than_trivial:
        return f"worse than {' and '.join(verdict.beaten_by)}, which is trivial{alike}"
    if verdict.not_shown:
        trivial = " and ".join(verdict.not_shown)
        return f"not shown to be better than {trivial}, which is trivial{alike}"
    return None


def _but(result: Evaluation) -> str | None:
    """What a champion's reader must know beside: it loses to the baseline, it answers all alike."""
    notes = []
    if result.verdict.strong.outcome < 0:
        theirs = result.strong.scores[result.score]
        notes.append(f"but it loses to {result.strong.title} ({theirs.value:.4f})")
    if result.verdict.degenerate:
        notes.append(result.verdict.degenerate)
    return "; ".join(notes) or None

"""The registry: every evaluated model becomes a version; `champion` moves only to a better one.

Docs: docs/decisions/0009-champion-on-the-same-test.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from goodfit.records import Evaluation, Registration
from goodfit.tracking.lookup import ALIAS, has_files

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Standing:
    """What decides which version is champion: the headline score on one test set."""

    name: str
    score: float
    mode: str
    test_sha256: str
    worse_than_trivial: bool = False


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
        worse_than_trivial=result.verdict.worse_than_trivial,
    )


def decide(new: Standing, old: Standing | None) -> Decision:
    """Whether a new model becomes champion after one of standing `old`, None for the first."""
    if not math.isfinite(new.score):
        return Decision(False, f"not champion: its {new.name} is {new.score}")
    if new.worse_than_trivial:
        return Decision(False, "not champion: worse than the trivial baseline")
    if old is None:
        reason = f"the first that is not worse than the trivial baseline ({new.score:.4f})"
        return Decision(True, f"champion: {reason}")
    if new.test_sha256 != old.test_sha256:
        hashes = f"{old.test_sha256[:8]}, here {new.test_sha256[:8]}"
        return Decision(
            False,
            f"not champion: the present one was tested on other data ({hashes}); "
            "scores on different data do not compare",
        )
    if (new.name, new.mode) != (old.name, old.mode):
        return Decision(
            False,
            f"not champion: measured by {new.name}, the present one by {old.name}; "
            f"set task.score={old.name}",
        )

    # by the values alone: the interval is in the report, and does not decide here
    better = new.score > old.score if new.mode == "max" else new.score < old.score
    if better:
        return Decision(True, f"champion: {new.score:.4f} is better than {old.score:.4f}")
    return Decision(False, f"not champion: {new.score:.4f} is not better than {old.score:.4f}")


def promote(client: MlflowClient, name: str, version: str, new: Standing) -> Decision:
    """Moves the alias if `decide` says so; the version keeps its standing as tags.

    Raises:
        MlflowException: the registry fails; the champion stays.
    """
    present = champion(client, name)
    if present and str(present.version) == version:
        return Decision(True, f"still champion: the same model as before ({new.score:.4f})")

    old = _tagged_standing(present) if present else None
    if present and old is None:
        reason = f"version {present.version} is, and carries no score to compare with"
        decision = Decision(False, f"not champion: {reason}")
    else:
        decision = decide(new, old)

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
        "score": repr(standing.score),  # unrounded: the same score again is not better
        "mode": standing.mode,
        "test_sha256": standing.test_sha256,
        "decision": decision.reason,
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, version, f"goodfit.{key}", value)
    if decision.champion:
        client.set_registered_model_alias(name, ALIAS, version)


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
        )
    except KeyError:
        return None

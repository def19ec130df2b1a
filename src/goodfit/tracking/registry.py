"""The registry: every evaluated model becomes a version; `champion` moves only to a better one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodfit.records import Evaluation

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"


@dataclass(frozen=True)
class Standing:
    """What decides who is champion: the headline score on one test set."""

    name: str
    score: float
    mode: str
    test_sha256: str
    worse_than_trivial: bool = False


def standing_of(result: Evaluation) -> Standing:
    """The standing of an evaluated model."""
    return Standing(
        name=result.score,
        score=result.headline.value,
        mode=result.mode,
        test_sha256=result.test_sha256,
        worse_than_trivial=result.verdict.worse_than_trivial,
    )


def decide(new: Standing, old: Standing | None) -> tuple[bool, str]:
    """Whether the new model becomes champion, and why or why not."""
    if not math.isfinite(new.score):
        return False, f"not champion: its {new.name} is {new.score}"
    if new.worse_than_trivial:
        return False, "not champion: worse than the trivial baseline"
    if old is None:
        return (
            True,
            f"champion: the first that is not worse than the trivial baseline ({new.score:.4f})",
        )
    if new.test_sha256 != old.test_sha256:
        return False, (
            f"not champion: the present one was tested on other data ({old.test_sha256[:8]}, "
            f"here {new.test_sha256[:8]}); scores on different data do not compare"
        )
    if (new.name, new.mode) != (old.name, old.mode):
        return (
            False,
            f"not champion: measured by {new.name}, the present one by {old.name}; set task.score={old.name}",
        )
    better = new.score > old.score if new.mode == "max" else new.score < old.score
    relation = "better than" if better else "not better than"
    return (
        better,
        f"{'champion' if better else 'not champion'}: {new.score:.4f} is {relation} {old.score:.4f}",
    )


def promote(client: MlflowClient, name: str, version: str, new: Standing) -> tuple[bool, str]:
    """Moves the alias if `decide` says so; the version keeps its rank as tags."""
    present = _champion(client, name)
    if present and str(present.version) == version:
        return True, f"still champion: the same model as before ({new.score:.4f})"
    old = _rank(present.tags) if present else None
    tags = {
        "score_name": new.name,
        "score": repr(new.score),
        "mode": new.mode,
        "test_sha256": new.test_sha256,
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, version, f"goodfit.{key}", value)
    if present and old is None:
        moved, reason = (
            False,
            f"not champion: version {present.version} is, and carries no score to compare with",
        )
    else:
        moved, reason = decide(new, old)
    client.set_model_version_tag(name, version, "goodfit.decision", reason)
    if moved:
        client.set_registered_model_alias(name, ALIAS, version)
    return moved, reason


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        # a missing alias is told as the one, a missing model as the other; whatever else is wrong
        # is no empty throne
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            return None
        raise


def _rank(tags: dict[str, str]) -> Standing | None:
    """What a version was crowned by; None for one that something else than `promote` made champion."""
    try:
        name, score = tags["goodfit.score_name"], float(tags["goodfit.score"])
        return Standing(name, score, tags["goodfit.mode"], tags["goodfit.test_sha256"])
    except KeyError:
        return None

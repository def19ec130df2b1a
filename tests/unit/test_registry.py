"""The champion changes only for a better model on the same test data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow.exceptions import MlflowException

from goodfit.tracking.database import connect
from goodfit.tracking.registry import Standing, champion, decide, promote

if TYPE_CHECKING:
    from mlflow import MlflowClient

OLD = Standing("accuracy", 0.9, "max", "aa")


@pytest.mark.parametrize(
    ("new", "old", "is_champion", "reason"),
    [
        (Standing("accuracy", 0.5, "max", "aa"), None, True, "champion: the first"),
        (
            Standing("accuracy", 0.5, "max", "aa", worse_than_trivial=True),
            None,
            False,
            "worse than the trivial baseline",
        ),
        (
            Standing("accuracy", 0.99, "max", "aa", worse_than_trivial=True),
            OLD,
            False,
            "worse than the trivial baseline",
        ),
        (
            Standing("accuracy", 0.91, "max", "aa"),
            OLD,
            True,
            "champion: 0.9100 is better than 0.9000",
        ),
        (
            Standing("accuracy", 0.9, "max", "aa"),
            OLD,
            False,
            "not champion: 0.9000 is not better than 0.9000",
        ),
        (
            Standing("accuracy", 0.89, "max", "aa"),
            OLD,
            False,
            "not champion: 0.8900 is not better than 0.9000",
        ),
        (
            Standing("accuracy", 0.99, "max", "bb"),
            OLD,
            False,
            "scores on different data do not compare",
        ),
        (
            Standing("accuracy", 0.2, "min", "aa"),
            Standing("accuracy", 0.3, "min", "aa"),
            True,
            "champion: 0.2000 is better than 0.3000",
        ),
        (
            Standing("accuracy", 0.3, "min", "aa"),
            Standing("accuracy", 0.2, "min", "aa"),
            False,
            "not champion",
        ),
        (Standing("accuracy", float("nan"), "max", "aa"), OLD, False, "not champion"),
        (Standing("accuracy", float("nan"), "max", "aa"), None, False, "not champion"),
        # an error of 0.1 and an accuracy of 0.9
        (Standing("accuracy", 0.1, "min", "aa"), OLD, False, "not champion"),
    ],
)
def test_who_becomes_champion(
    new: Standing, old: Standing | None, is_champion: bool, reason: str
) -> None:
    decision = decide(new, old)
    assert decision.champion is is_champion
    assert reason in decision.reason


@pytest.fixture
def client(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A registry with the model "net" in three versions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(database.read_bytes())
    made = connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    made.create_registered_model("net")
    for _ in range(3):
        made.create_model_version("net", source=f"file://{tmp_path}/model")
    return made


def champion_version(client: MlflowClient) -> str:
    version = champion(client, "net")
    assert version is not None
    return str(version.version)


def test_the_alias_moves_to_a_better_version(client: MlflowClient) -> None:
    promote(client, "net", "1", OLD)
    promote(client, "net", "2", Standing("accuracy", 0.95, "max", "aa"))
    assert champion_version(client) == "2"


@pytest.mark.parametrize(
    "standing",
    [
        Standing("accuracy", 0.9, "max", "aa"),
        Standing("accuracy", 0.99, "max", "bb"),
        Standing("accuracy", 0.99, "max", "aa", True),
    ],
)
def test_the_alias_stays_otherwise(client: MlflowClient, standing: Standing) -> None:
    promote(client, "net", "1", OLD)
    promote(client, "net", "2", standing)
    assert champion_version(client) == "1"


def test_there_is_no_champion_as_long_as_all_are_worse_than_trivial(client: MlflowClient) -> None:
    promote(client, "net", "1", Standing("accuracy", 0.4, "max", "aa", worse_than_trivial=True))
    assert client.get_registered_model("net").aliases == {}


def test_the_score_of_the_champion_survives_the_registry_unrounded(client: MlflowClient) -> None:
    promote(client, "net", "1", Standing("accuracy", 1 / 3, "min", "aa"))
    assert promote(client, "net", "2", Standing("accuracy", 1 / 3, "min", "aa")).champion is False
    assert champion_version(client) == "1"


def test_the_champion_registered_once_more_is_still_said_to_be_champion(
    client: MlflowClient,
) -> None:
    promote(client, "net", "1", OLD)
    decision = promote(client, "net", "1", OLD)
    assert decision.champion
    assert not decision.reason.startswith("not champion")


def test_the_decision_is_kept_with_the_version(client: MlflowClient) -> None:
    promote(client, "net", "1", OLD)
    decision = promote(client, "net", "2", Standing("accuracy", 0.5, "max", "aa"))
    assert client.get_model_version("net", "2").tags["goodfit.decision"] == decision.reason


def test_a_champion_that_somebody_else_made_is_not_replaced(client: MlflowClient) -> None:
    client.set_registered_model_alias("net", "champion", "1")
    decision = promote(client, "net", "2", Standing("accuracy", 0.99, "max", "aa"))
    assert (decision.champion, champion_version(client)) == (False, "1")
    assert "carries no score" in decision.reason


def test_a_registry_that_fails_is_not_one_without_a_champion(
    client: MlflowClient, tmp_path: Path
) -> None:
    """The table of aliases is away: the error is raised, and the champion stays."""
    promote(client, "net", "1", OLD)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("alter table registered_model_aliases rename to away")
    with pytest.raises(MlflowException):
        promote(client, "net", "2", Standing("accuracy", 0.1, "max", "aa"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("alter table away rename to registered_model_aliases")
    assert champion_version(client) == "1"


def test_a_model_that_is_not_registered_has_no_champion(client: MlflowClient) -> None:
    assert champion(client, "nobody") is None
    assert champion(client, "net") is None

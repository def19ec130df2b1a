"""The champion changes only for a model that is shown to be better on the same test data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.exceptions import MlflowException

from goodfit.records import Evaluation
from goodfit.records.interval import Interval
from goodfit.tracking.database import connect
from goodfit.tracking.lookup import CODE_TAG, MODEL_TAG
from goodfit.tracking.package import version_with
from goodfit.tracking.registry import Paired, Standing, champion, decide, promote, standing_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

OLD = Standing("accuracy", 0.9, "max", "aa")
GOOD = Standing("accuracy", 0.99, "max", "aa")
UNFIT = Standing("accuracy", 0.99, "max", "aa", unfit="worse than majority class")
BETTER = Paired(1, Interval(0.05, 0.01, 0.09))
TIED = Paired(0, Interval(0.001, -0.002, 0.004))
WORSE = Paired(-1, Interval(-0.05, -0.09, -0.01))


def nothing(present: ModelVersion) -> Paired:
    """Fails where a model is compared that must not be."""
    pytest.fail(f"compared with {present.version}")


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    ("new", "old", "paired", "is_champion", "reason"),
    [
        (GOOD, None, None, True, "champion: the first that is shown to be better than trivial"),
        (UNFIT, None, None, False, "not champion: worse than majority class"),
        (UNFIT, OLD, BETTER, False, "not champion: worse than majority class"),
        (GOOD, OLD, BETTER, True, "champion: better by +0.050 [+0.010, +0.090], 0.9900 aga"),
        # .7935 against .7924: one sample of 891
        (GOOD, OLD, TIED, False, "not champion: not shown to be better than the present one"),
        (GOOD, OLD, WORSE, False, "not champion: not shown to be better than the present one"),
        (GOOD, OLD, "its files are gone", False, "no comparison with the present one: its files"),
        (replace(GOOD, files="f"), OLD, TIED, False, "not champion: not shown to be better"),
        (
            replace(GOOD, files="f"),
            replace(OLD, files="f"),
            TIED,
            True,
            "champion: the present one's files, with the code of now",
        ),
        (
            replace(GOOD, files="f"),
            replace(OLD, files="f"),
            WORSE,
            False,
            "not champion: not shown",
        ),
        (replace(GOOD, but="but it loses to"), OLD, BETTER, True, "; but it loses to"),
        (replace(GOOD, but="but it loses to"), None, None, True, "; but it loses to"),
        (replace(GOOD, test_sha256="bb"), OLD, BETTER, False, "on different data do not compare"),
        # an error of 0.1 and an accuracy of 0.9
        (replace(GOOD, mode="min"), OLD, BETTER, False, "not champion: measured by"),
        (replace(GOOD, name="f1"), OLD, BETTER, False, "set task.score=accuracy"),
        (
            replace(GOOD, score=float("nan")),
            OLD,
            BETTER,
            False,
            "not champion: its accuracy is nan",
        ),
        (replace(GOOD, score=float("nan")), None, None, False, "not champion"),
    ],
)
def test_who_becomes_champion(
    new: Standing,
    old: Standing | None,
    paired: Paired | str | None,
    is_champion: bool,
    reason: str,
) -> None:
    decision = decide(new, old, lambda: paired or pytest.fail("there is nothing to compare with"))
    assert decision.champion is is_champion
    assert reason in decision.reason


def result(
    *, strong: int = 1, trivial: int = 1, too_few: str | None = None, degenerate: str | None = None
) -> Evaluation:
    """An evaluation with these outcomes against the strong and the trivial baseline."""
    against, baselines = [], []
    for title, role, outcome in (("forest", "strong", strong), ("chance", "trivial", trivial)):
        item = {"title": title, "role": role, "outcome": outcome}
        against.append(item | {"difference": {"value": 0.1, "low": 0.0, "high": 0.2}})
        scores = {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.9}}
        baselines.append({"title": title, "role": role, "validation": 0.8, "scores": scores})
    verdict = {
        "word": "",
        "text": "",
        "against": against,
        "worse_than_trivial": trivial < 0,
        "too_few": too_few,
        "degenerate": degenerate,
    }
    words = dict.fromkeys(
        ("experiment", "task", "model", "subject", "test_sha256", "weights_sha256", "cluster"), "x"
    )
    lists: dict[str, Any] = {"charts": [], "typical": [], "examples": [], "baselines": baselines}
    numbers = {"samples": 40, "clusters": 40, "resamples": 10, "seconds_per_1000": 1.0}
    scores = {"score": "accuracy", "modes": {"accuracy": "max"}}
    network = {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0}}
    told = {"network": network, "verdict": verdict, "fit": None}
    content = words | lists | numbers | scores | told
    return Evaluation.of(content, Path("evaluation.json"))


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    ("outcomes", "unfit", "but"),
    [
        ({}, None, None),
        ({"strong": -1}, None, "but it loses to forest (0.8000)"),
        ({"trivial": -1}, "worse than chance, which is trivial", None),
        ({"trivial": 0}, "not shown to be better than chance, which is trivial", None),
        (
            {"too_few": "test has 2 samples, it takes 30"},
            "too few to tell: test has 2 samples",
            None,
        ),
        ({"trivial": 0, "degenerate": "it answers 'no'"}, "trivial; it answers 'no'", "it answers"),
        ({"degenerate": "it answers 'no'"}, None, "it answers 'no'"),
    ],
)
def test_what_an_evaluation_says_to_the_registry(
    outcomes: dict[str, Any], unfit: str | None, but: str | None
) -> None:
    standing = standing_of(result(**outcomes))
    for said, expected in ((standing.unfit, unfit), (standing.but, but)):
        assert (said is None) == (expected is None), said
        assert (expected or "") in (said or "")


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
    promote(client, "net", "1", OLD, nothing)
    promote(client, "net", "2", GOOD, lambda present: BETTER)
    assert champion_version(client) == "2"


def test_the_alias_moves_to_the_same_files_with_the_code_of_now(client: MlflowClient) -> None:
    for version, files in (("1", "same"), ("2", "others"), ("3", "same")):
        client.set_model_version_tag("net", version, MODEL_TAG, files)
    promote(client, "net", "1", OLD, nothing)
    promote(client, "net", "2", OLD, lambda present: TIED)
    assert champion_version(client) == "1"
    promote(client, "net", "3", OLD, lambda present: TIED)
    assert champion_version(client) == "3"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("standing", "paired"),
    [(GOOD, TIED), (replace(GOOD, test_sha256="bb"), BETTER), (UNFIT, BETTER), (GOOD, "gone")],
)
def test_the_alias_stays_otherwise(
    client: MlflowClient, standing: Standing, paired: Paired | str
) -> None:
    promote(client, "net", "1", OLD, nothing)
    promote(client, "net", "2", standing, lambda present: paired)
    assert champion_version(client) == "1"


def test_a_new_version_is_compared_with_the_present_champion(client: MlflowClient) -> None:
    promote(client, "net", "1", OLD, nothing)
    promote(client, "net", "2", GOOD, lambda present: BETTER)
    asked = []
    promote(client, "net", "3", GOOD, lambda present: asked.append(present.version) or TIED)
    assert [str(version) for version in asked] == ["2"]


def test_there_is_no_champion_as_long_as_all_are_unfit(client: MlflowClient) -> None:
    promote(client, "net", "1", UNFIT, nothing)
    assert client.get_registered_model("net").aliases == {}


def test_the_score_of_the_champion_survives_the_registry_unrounded(client: MlflowClient) -> None:
    promote(client, "net", "1", Standing("accuracy", 1 / 3, "min", "aa"), nothing)
    version = champion(client, "net")
    assert version is not None
    assert float(version.tags["goodfit.score"]) == 1 / 3


def test_a_champion_that_would_not_be_one_today_stays_with_a_word(client: MlflowClient) -> None:
    promote(client, "net", "1", OLD, nothing)
    decision = promote(client, "net", "1", UNFIT, nothing)
    assert decision.champion
    assert decision.reason.endswith("(0.9900), though worse than majority class")


def test_the_champion_registered_once_more_is_still_said_to_be_champion(
    client: MlflowClient,
) -> None:
    promote(client, "net", "1", OLD, nothing)
    decision = promote(client, "net", "1", OLD, nothing)
    assert decision.champion
    assert not decision.reason.startswith("not champion")


def test_the_decision_is_kept_with_the_version(client: MlflowClient) -> None:
    promote(client, "net", "1", OLD, nothing)
    decision = promote(client, "net", "2", GOOD, lambda present: TIED)
    assert client.get_model_version("net", "2").tags["goodfit.decision"] == decision.reason


def test_a_champion_that_somebody_else_made_is_not_replaced(client: MlflowClient) -> None:
    client.set_registered_model_alias("net", "champion", "1")
    decision = promote(client, "net", "2", Standing("accuracy", 0.99, "max", "aa"), nothing)
    assert (decision.champion, champion_version(client)) == (False, "1")
    assert "carries no score" in decision.reason


def test_a_registry_that_fails_is_not_one_without_a_champion(
    client: MlflowClient, tmp_path: Path
) -> None:
    """The table of aliases is away: the error is raised, and the champion stays."""
    promote(client, "net", "1", OLD, nothing)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("alter table registered_model_aliases rename to away")
    with pytest.raises(MlflowException):
        promote(client, "net", "2", Standing("accuracy", 0.1, "max", "aa"), nothing)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("alter table away rename to registered_model_aliases")
    assert champion_version(client) == "1"


def test_a_model_that_is_not_registered_has_no_champion(client: MlflowClient) -> None:
    assert champion(client, "nobody") is None
    assert champion(client, "net") is None


@pytest.mark.fault(71)
def test_a_version_is_the_same_model_by_its_files_and_by_the_code_that_answers(
    client: MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/MLmodel").touch()
    tags = {MODEL_TAG: "weights", CODE_TAG: "now"}
    for key, value in (tags | {CODE_TAG: "before"}).items():
        client.set_model_version_tag("net", "2", key, value)
    assert version_with(client, "net", tags) is None
    for key, value in tags.items():
        client.set_model_version_tag("net", "1", key, value)
    assert version_with(client, "net", tags) == "1"

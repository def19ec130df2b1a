"""Several trainings are runs under one parent, go on after a stop, and are compared in pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig

from goodfit.config.overrides import with_options
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.records.interval import Interval
from goodfit.repeats import pool
from goodfit.repeats.compare import compared
from goodfit.repeats.result import Repeated, Single
from goodfit.repeats.sides import Side, side
from goodfit.repeats.train import repeat
from goodfit.stages.repeated import repeated
from goodfit.tracking import database

Home = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def seeds_of(
    tmp_path_factory: pytest.TempPathFactory, prepared: Any, request: pytest.FixtureRequest
) -> Iterator[tuple[Path, DictConfig, Repeated]]:
    """A finished repetition with two seeds: its folder, configuration and result."""
    from furnished import furnish

    root = tmp_path_factory.mktemp("repeats")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        cfg = furnish(root, prepared, request.getfixturevalue("database"), "breast_cancer")
        yield root, cfg, repeat(cfg, folds=None, seeds=2, overrides=["experiment=tiny"])


def runs_of(cfg: DictConfig) -> list[Any]:
    client = database.connect(cfg.tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


@pytest.mark.slow
def test_each_seed_is_a_run_under_one_parent_that_has_all_scores(seeds_of: Any) -> None:
    _, cfg, found = seeds_of
    nested = [run for run in runs_of(cfg) if "mlflow.parentRunId" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {found.run_id}
    assert {run.info.run_id for run in nested} == {item.run_id for item in found.singles}
    parent = database.connect(cfg.tracking.uri).get_run(found.run_id)
    names = {"mean", "low", "high", "seed_0", "seed_1"}
    assert set(parent.data.metrics) == {f"{found.score}_{name}" for name in names}
    assert parent.info.status == "FINISHED"


def test_the_same_command_trains_nothing_again_and_gives_the_same(
    seeds_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cfg, found = seeds_of
    (summary,) = root.glob("build/repeats/tiny/*/repeats.json")
    summary.unlink()  # as if it was stopped after the last seed
    monkeypatch.setattr(pool, "fit", None)
    assert repeat(cfg, folds=None, seeds=2, overrides=["experiment=tiny"]) == found


def test_a_finished_seed_is_kept_and_a_missing_one_is_trained_with_the_same_score(
    seeds_of: Any,
) -> None:
    root, cfg, found = seeds_of
    (summary,) = root.glob("build/repeats/tiny/*/repeats.json")
    summary.unlink()
    shutil.rmtree(summary.parent / "fold-0-seed-1")
    again = repeat(cfg, folds=None, seeds=2, overrides=["experiment=tiny"])
    assert again.run_id == found.run_id
    assert again.singles[0] == found.singles[0]
    assert again.singles[1].score == found.singles[1].score
    assert again.singles[1].run_id != found.singles[1].run_id


def test_a_run_of_seeds_is_read_from_mlflow_and_ties_with_itself(seeds_of: Any) -> None:
    _, cfg, _ = seeds_of
    client = database.connect(cfg.tracking.uri)
    parent = next(run for run in runs_of(cfg) if "mlflow.parentRunId" not in run.data.tags)
    assert client.get_run(parent.info.run_id).data.tags["goodfit.started_by"] == "seeds"
    with side(parent.info.run_id, cfg.tracking.uri) as one:
        found = compared(one, one)
    assert found.outcome == 0
    assert found.difference.interval.value == 0


def test_two_trainings_are_compared_on_the_same_validation_either_way(seeds_of: Any) -> None:
    root, cfg, found = seeds_of
    (folder,) = root.glob("build/repeats/tiny/*/")
    sides = []
    for seed in found.seeds:
        model = folder / f"fold-0-seed-{seed}"
        sides.append(Side(f"{seed}", "", folder=model, data=root / Paths(cfg.name).prepared))
    there, back = compared(*sides), compared(*sides[::-1])
    assert there.on.startswith("the same validation")
    sign = 1 if found.mode == "max" else -1
    first, second = (item.score for item in found.singles)
    difference = there.difference.interval
    assert difference.value == pytest.approx(sign * (first - second))
    turned = back.difference.interval
    assert (turned.low, turned.high) == pytest.approx((-difference.high, -difference.low))
    assert back.difference.p == pytest.approx(there.difference.p)


def test_trainings_on_other_data_are_refused(seeds_of: Any) -> None:
    root, cfg, _ = seeds_of
    (folder,) = root.glob("build/repeats/tiny/*/")
    data = root / Paths(cfg.name).prepared
    one = Side("a", "", folder=folder / "fold-0-seed-0", data=data)
    other = replace(one, folder=folder / "fold-0-seed-1", data_sha256="0" * 64)
    with pytest.raises(UserError, match="was trained on other data than"):
        compared(one, other)


def many(scores: Any, **changes: Any) -> Repeated:
    """What K folds with S seeds gave, for scores (K, S)."""
    scores = np.asarray(scores, float)
    singles = []
    for (fold, seed), score in np.ndenumerate(scores):
        singles.append(Single(fold=fold + 1, seed=seed, epochs=1, score=score, run_id="r"))
    made = Repeated(
        experiment="e",
        score="accuracy",
        mode="max",
        folds=len(scores),
        seeds=tuple(range(scores.shape[1])),
        data=tuple(f"sha{fold}" for fold in range(len(scores))),
        held_out=(20,) * len(scores),
        trained_on=(80,) * len(scores),
        unit="sample",
        units=100,
        singles=tuple(singles),
        run_id="r",
        mean=Interval(float(scores.mean()), 0.0, 1.0),
        freedom=4.0,
        least=0.0,
        most=1.0,
    )
    return replace(made, **changes)


def of(made: Repeated, name: str = "a") -> Side:
    return Side(name, name, made)


HARD = np.array([[0.6], [0.7], [0.8], [0.9], [0.65]])  # folds differ more than methods do


@pytest.mark.parametrize(("mode", "outcome"), [("max", 1), ("min", -1)])
def test_what_is_hard_for_both_cancels_and_the_mode_says_who_is_better(
    mode: str, outcome: int
) -> None:
    better = HARD + np.array([[0.05], [0.06], [0.05], [0.04], [0.05]])
    found = compared(of(many(better, mode=mode)), of(many(HARD, mode=mode)))
    assert found.outcome == outcome
    assert found.difference.p < 0.01


def test_a_difference_that_changes_its_sign_is_a_tie() -> None:
    other = HARD + np.array([[0.05], [-0.05], [0.04], [-0.04], [0.01]])
    found = compared(of(many(other)), of(many(HARD)))
    assert found.outcome == 0
    assert found.difference.p > 0.05


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"score": "auc"}, "the score of the first is accuracy, of the second auc"),
        ({"data": ("x",) * 5}, "the data \\(SHA-256\\) of the first"),
        ({"folds": 10}, "the number of folds of the first is 5, of the second 10"),
        ({"seeds": (7,)}, "has seeds \\[0\\], b \\[7\\]"),
    ],
)
def test_what_was_scored_otherwise_is_refused_with_the_reason(changes: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        compared(of(many(HARD)), of(many(HARD, **changes), "b"))


def test_folds_are_not_compared_with_a_single_training() -> None:
    with pytest.raises(UserError, match="a was trained several times, b once"):
        compared(of(many(HARD)), Side("b", "b"))


def test_a_table_has_each_score_and_says_what_the_interval_counts() -> None:
    text = "\n".join(many(np.hstack([HARD, HARD + 0.01])).lines())
    assert text.count("\n") >= 14
    assert "1/5 + 0.25" in text
    assert "seeds: 2" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cv": 1}, "cv: .*greater than or equal to 2"),
        ({"seeds": 1}, "seeds: .*greater than or equal to 2"),
        ({"cv": 2.5}, "cv: .*integer"),
        ({"seeds": True}, "seeds: .*integer"),
    ],
)
def test_fewer_than_two_folds_or_seeds_are_refused(home: Home, options: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        repeated(home(), [], **options)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"resume": "must"}, "resume=must"), ({"trainer": {"num_nodes": 2}}, "num_nodes=2")],
)
def test_what_means_nothing_with_folds_is_refused(home: Home, changes: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        repeated(home(**changes), [], cv=2)


def test_an_option_is_opened_for_hydra_and_refused_in_a_sweep_and_twice() -> None:
    names = ("cv", "seeds")
    assert with_options(["a=1", "cv=5"], names) == ["a=1", "+cv=5"]
    with pytest.raises(UserError, match="nothing in a sweep"):
        with_options(["cv=5", "-m"], names)
    with pytest.raises(UserError, match="more than once"):
        with_options(["cv=5", "cv=6"], names)

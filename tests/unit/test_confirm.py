"""The winner of a sweep: who ties, who is chosen, what is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
import tiny
import yaml
from optuna.trial import FrozenTrial

from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.search.candidate import Candidate, interval
from goodfit.search.confirm import _best, _train_again, choose
from goodfit.search.tuned import Values, write
from hydra_plugins.hydra_optuna_sweeper import _study

BEST = Candidate(1, (), (1.0, 1.1, 0.9, 1.0, 1.05), 5_000)


def shifted(by: tuple[float, ...], parameters: int) -> Candidate:
    return Candidate(2, (), tuple(a + b for a, b in zip(BEST.scores, by, strict=True)), parameters)


def test_the_interval_is_students() -> None:
    # mean 2, standard error 1 / sqrt(3), t(0.975; 2) = 4.302653
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6
    )


def test_a_clearly_worse_one_does_not_win_by_being_small() -> None:
    worse = shifted((0.5, 0.5, 0.5, 0.5, 0.51), 10)
    assert choose([worse, BEST], maximize=False) == (BEST, [BEST])


def test_of_two_that_tie_the_smaller_wins() -> None:
    equal = shifted((0.01, -0.01, 0.02, 0.0, -0.005), 10)
    winner, tied = choose([BEST, equal], maximize=False)
    assert winner is equal
    assert len(tied) == 2


def test_one_that_is_worse_by_a_little_but_with_every_seed_does_not_tie() -> None:
    """Paired by seed, a difference is seen that is smaller than the spread between seeds."""
    worse = shifted((0.02, 0.02, 0.021, 0.019, 0.02), 10)
    assert choose([BEST, worse], maximize=False) == (BEST, [BEST])


def test_a_wide_spread_of_its_own_makes_no_tie() -> None:
    noisy = Candidate(3, (), (0.9, 5.0, 0.9, 7.0, 1.0), 10)
    assert choose([BEST, noisy], maximize=False) == (BEST, [BEST])


def test_the_best_is_the_largest_where_larger_is_better() -> None:
    worse = shifted((-0.5, -0.5, -0.5, -0.5, -0.51), 10)
    assert choose([worse, BEST], maximize=True) == (BEST, [BEST])


def test_of_two_of_equal_size_that_tie_the_better_mean_wins() -> None:
    equal = shifted((0.01, -0.01, 0.02, 0.0, -0.005), BEST.parameters)
    assert choose([equal, BEST], maximize=False)[0] is BEST


def test_equal_scores_tie() -> None:
    small = Candidate(4, (), BEST.scores, 10)
    assert choose([BEST, small], maximize=False)[0] is small


def test_overrides_that_were_tried_twice_rank_by_their_better_score() -> None:
    """On a GPU equal overrides may give different scores."""
    study = optuna.create_study()
    for name, score in [("a", 1.0), ("b", 2.0), ("a", 3.0)]:
        attributes = {"overrides": [f"model={name}"]}
        study.add_trial(optuna.create_trial(value=score, user_attrs=attributes))
    assert _best(study, 1, maximize=False) == [Candidate(0, ("model=a",))]
    assert _best(study, 9, maximize=True) == [
        Candidate(2, ("model=a",)),
        Candidate(1, ("model=b",)),
    ]


class KilledRepetition:
    """A sweep whose worker is killed before the second row is chosen."""

    def repeat(
        self, study: optuna.Study, rows: Sequence[Any], on_end: Callable[..., None]
    ) -> list[FrozenTrial]:
        for row in range(len(rows)):
            study.enqueue_trial({"row": row})
        first, second = study.ask(), study.ask()
        first.set_user_attr("parameters", 5)
        first.suggest_int("row", 0, 1)
        study.tell(first, 0.5)
        _study.interrupt(study, second.number, "killed", 0)
        for trial in study.trials:
            on_end(study, trial)
        return study.trials


def test_a_worker_that_is_killed_before_it_chose_a_row_costs_its_candidate_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    candidates = [Candidate(None, ()), Candidate(7, ("x=1",))]
    sweep: Any = KilledRepetition()
    measured = _train_again(optuna.create_study(), sweep, candidates, [4], None)
    assert measured == [Candidate(None, (), (0.5,), 5)]
    assert capsys.readouterr().out.splitlines()[-1] == "trial 7, seed 4: fail"


def test_only_what_differs_from_the_experiment_is_written(tmp_path: Path) -> None:
    path = tmp_path / "tuned/x.yaml"
    values = Values(
        experiment={"model.width": 16, "seed": 0},
        winner={"model.width": 32, "seed": 0, "a.b.c": None},
        groups={},
    )
    assert write(path, values, ["why"]) == 1
    assert path.read_text().startswith("# @package _global_\n# why\n")
    assert yaml.safe_load(path.read_text()) == {"model": {"width": 32}}


@pytest.mark.slow
def test_what_is_written_is_what_hydra_composes_and_deleting_it_goes_back(tmp_path: Path) -> None:
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("*.yaml~"))
    path = tmp_path / "conf/tuned/mnist.yaml"
    path.unlink(missing_ok=True)
    before = tree.frozen(compose(tmp_path, ["experiment=mnist"]))
    own = {"model.width": before["model"]["width"], "optimizer.lr": before["optimizer"]["lr"]}
    winner = {"model.width": 99, "optimizer.lr": 0.5, "optimizer.momentum": 0.85}
    write(path, Values(own, winner, {"optimizer": "sgd"}), ["why"])
    after = tree.frozen(compose(tmp_path, ["experiment=mnist"]))
    assert after["model"] == before["model"] | {"width": 99}
    assert after["optimizer"]["_target_"] == "torch.optim.SGD"
    assert (after["optimizer"]["lr"], after["optimizer"]["momentum"]) == (0.5, 0.85)
    others = before.keys() - {"model", "optimizer"}
    assert {key: after[key] for key in others} == {key: before[key] for key in others}
    assert tree.frozen(compose(tmp_path, ["experiment=mnist", "~tuned"])) == before
    path.unlink()
    assert tree.frozen(compose(tmp_path, ["experiment=mnist"])) == before


def test_a_value_of_the_command_line_is_stronger_than_a_tuned_one(tmp_path: Path) -> None:
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf")
    write(tmp_path / "conf/tuned/mnist.yaml", Values({}, {"model.width": 99}, {}), ["why"])
    assert compose(tmp_path, ["experiment=mnist", "model.width=7"]).model.width == 7

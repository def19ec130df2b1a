"""A learning curve: shares under one run, baselines on the same samples, plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.evaluation.baselines import labelled, statistics_on_validation
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.records import Training
from goodfit.records.curve import LearningCurve, Size
from goodfit.records.interval import Interval
from goodfit.repeats import pool
from goodfit.repeats.curve import FILE, Shares, curve, planned_trainings, shares_of
from goodfit.repeats.sides import side
from goodfit.reporting import learning_curve_picture
from goodfit.reporting.learning_curve import lines, told
from goodfit.stages import learning_curve
from goodfit.tracking import database

Home = Callable[..., DictConfig]
SHARES = (0.2, 0.4, 0.7, 1.0)


@pytest.fixture(scope="module")
def curved(
    tmp_path_factory: pytest.TempPathFactory, prepared: Any, request: pytest.FixtureRequest
) -> Iterator[tuple[DictConfig, Shares, LearningCurve, Path]]:
    """A finished curve of four shares with two seeds, in the folder that is the present one."""
    from furnished import furnish

    root = tmp_path_factory.mktemp("curve")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        cfg = furnish(root, prepared, request.getfixturevalue("database"), "breast_cancer")
        shares = shares_of(cfg, SHARES, 2)
        found, folder = curve(cfg, shares, ["experiment=tiny"])
        yield cfg, shares, found, folder


def runs_of(cfg: DictConfig) -> list[Any]:
    client = database.connect(cfg.tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


@pytest.mark.slow
def test_each_share_and_seed_is_a_run_under_one_parent(curved: Any) -> None:
    cfg, _, found, _ = curved
    started_by = [run.data.tags["goodfit.started_by"] for run in runs_of(cfg)]
    assert sorted(started_by) == ["curve", *["share"] * 8]
    nested = [run for run in runs_of(cfg) if "mlflow.parentRunId" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {found.run_id}
    assert {run.data.params["loader.share"] for run in nested} == {"0.2", "0.4", "0.7", "1.0"}


@pytest.mark.slow
def test_the_same_command_trains_nothing_again_and_gives_the_same(
    curved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg, shares, found, folder = curved
    monkeypatch.setattr(pool, "fit", None)
    again, there = curve(cfg, shares, ["experiment=tiny"])
    assert again == found == LearningCurve.read(folder / FILE)
    assert there == folder


def test_all_of_train_gives_the_weights_of_a_plain_training(curved: Any) -> None:
    from goodfit.launch.fit import fit

    cfg, _, _, folder = curved
    plain = fit(cfg, out=folder.parent / "plain", overrides=["experiment=tiny"])
    assert plain is not None
    ours, theirs = (
        Training.read(path / "train.json").weights_sha256
        for path in (folder / "share-1-seed-0", folder.parent / "plain")
    )
    assert ours == theirs


def test_a_score_is_that_of_the_model_on_validation(curved: Any) -> None:
    _, _, found, folder = curved
    training = Training.read(folder / "share-0.4-seed-1" / "train.json")
    score = found.network.scores[1][1]
    assert score == pytest.approx(training.scores[f"val/{found.score}"])


def test_a_baseline_scores_as_one_that_knows_no_more_than_the_share(curved: Any) -> None:
    from goodfit import build

    cfg, shares, found, folder = curved
    data, rows = Paths(cfg.name).prepared, shares.rows[0][1]
    task = Predictor.load(folder / "share-0.2-seed-1").task
    for baseline in build.baselines(cfg):
        cut = labelled(data, "train", shares.spec).part(rows)
        known = labelled(data, "validation", shares.spec)
        statistics = statistics_on_validation(baseline, cut, known, data, task)
        score = float(task.metrics()[task.score](statistics))
        method = next(each for each in found.methods if each.title == baseline.title)
        assert method.scores[0][1] == pytest.approx(score)


def test_each_training_has_as_many_optimizer_steps_as_one_on_all(home: Home) -> None:
    cfg = home(trainer={"max_epochs": 40})
    shares = shares_of(cfg, SHARES, 2)
    for one in planned_trainings(cfg, shares, Path("build")):
        index = SHARES.index(one.cfg.loader.share)
        steps = math.ceil(len(shares.rows[index][0]) / cfg.loader.batch_size)
        of_all = math.ceil(len(shares.rows[-1][0]) / cfg.loader.batch_size)
        assert one.cfg.trainer.max_epochs * steps == pytest.approx(40 * of_all, rel=0.35)
        assert f"loader.share={one.cfg.loader.share}" in one.given
    assert cfg.loader.share == 1  # what was asked for stays as it was


def test_a_curve_is_no_side_of_a_comparison(curved: Any) -> None:
    cfg, _, found, _ = curved
    with (
        pytest.raises(UserError, match="is a learning curve"),
        side(found.run_id, str(cfg.tracking.uri)),
    ):
        pass


def test_the_largest_sizes_are_held_out_and_foretold_by_the_smaller_ones(curved: Any) -> None:
    _, _, found, _ = curved
    (held_out,) = found.network.held_out
    assert held_out.size.share == 1
    assert held_out.measured == pytest.approx(np.mean(found.network.scores[-1]))
    text = "\n".join(told(found))
    word = "covered" if held_out.covered else "NOT covered"
    assert f"The network, held out 100 %: predicted {held_out.predicted.text()}, was" in text
    assert f": {word}." in text


def test_the_table_has_every_size_and_method_and_the_picture_is_small(curved: Any) -> None:
    _, _, found, folder = curved
    text = "\n".join(lines(found))
    for method in found.methods:
        assert method.title in text
        assert all(mean.text() in text for mean in method.means)
    assert "test is unseen" in text
    learning_curve_picture.save(found, folder / "curve.png")
    assert 5_000 < (folder / "curve.png").stat().st_size < 90_000


def known(found: LearningCurve, differences: list[tuple[float, float]], **changes: Any) -> Any:
    """The same curve with other differences between the network and the strong baseline."""
    intervals = tuple(Interval((low + high) / 2, low, high) for low, high in differences)
    sizes = tuple(Size(share=share, units=9, samples=1000 * share) for share in SHARES)
    return replace(found, differences=intervals, sizes=sizes, **{"held_out": 400, **changes})


BEHIND, TIED, AHEAD = (-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2)


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([BEHIND, TIED, AHEAD, AHEAD], "overtakes .* between 400 and 700 samples"),
        ([AHEAD, AHEAD, AHEAD, AHEAD], "is ahead of .* at all sizes"),
        ([BEHIND, BEHIND, BEHIND, TIED], "does not overtake .* at 1,000 samples they are stat"),
        ([BEHIND, BEHIND, BEHIND, BEHIND], "does not overtake .* at 1,000 samples it loses"),
        ([AHEAD, AHEAD, TIED, TIED], "does not overtake .* though it was ahead with fewer"),
        ([AHEAD, TIED, AHEAD, AHEAD], "overtakes .* between 400 and 700 samples"),
    ],
)
def test_it_is_said_where_the_network_overtakes_if_it_does(
    curved: Any, differences: Any, said: str
) -> None:
    text = "\n".join(told(known(curved[2], differences)))
    assert re.search(said, text), text


def test_of_few_independent_units_nobody_overtakes(curved: Any) -> None:
    text = "\n".join(told(known(curved[2], [AHEAD] * 4, held_out=8)))
    assert "cannot be told: validation has 8 independent units, it takes 30" in text


@pytest.mark.parametrize(("high", "is_wide"), [(0.95, True), (0.86, False)])
def test_an_interval_as_wide_as_all_that_was_measured_says_nothing(
    curved: Any, high: float, is_wide: bool
) -> None:
    found = curved[2]
    means = tuple(Interval(value, value, value) for value in (0.75, 0.8, 0.82, 0.83))
    doubled = Interval(0.84, 0.74, high) if is_wide else Interval(0.84, 0.83, high)
    network = replace(found.network, means=means, doubled=doubled)
    first = told(replace(found, methods=(network, *found.methods[1:])))[0]
    assert ("too wide to say anything" in first) is is_wide


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "'0' is no share"),
        ("0.1,1.2", "'1.2' is no share"),
        ("0.1,half", "'half' is no share"),
        ("0.1,nan", "'nan' is no share"),
        ("0.5", "2 different shares at least"),
        ("0.5,0.5", "2 different shares at least"),
    ],
)
def test_shares_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        learning_curve._asked([f"shares={text}"])


def test_options_are_told_from_overrides_and_shares_are_sorted() -> None:
    asked = learning_curve._asked(["experiment=mnist", "shares=1,0.1", "seeds=5", "model.width=8"])
    assert asked.overrides == ("experiment=mnist", "model.width=8")
    assert (asked.shares, asked.seeds) == ((0.1, 1.0), 5)


@pytest.mark.parametrize("seeds", ["1", "0", "two", "2.5", "1001"])
def test_fewer_than_two_seeds_are_refused(seeds: str) -> None:
    with pytest.raises(UserError, match=f"seeds={seeds}: expected a number from 2"):
        learning_curve._asked([f"seeds={seeds}"])


def test_two_shares_of_the_same_units_are_refused_with_how_many_there_are(home: Home) -> None:
    cfg = home("electricity")
    with pytest.raises(UserError, match=r"independent units \(each a week\), of which .* both 1"):
        shares_of(cfg, (0.001, 0.002), 2)


def test_a_share_without_a_label_is_refused_before_training(home: Home) -> None:
    with pytest.raises(UserError, match=r"none has the label '.*'; begin with a larger share"):
        shares_of(home(), (0.001, 1.0), 2)


def test_a_share_whose_targets_are_all_alike_is_refused(home: Home) -> None:
    with pytest.raises(UserError, match="have the same target; begin with a larger share"):
        shares_of(home("table-number"), (0.001, 1.0), 2)

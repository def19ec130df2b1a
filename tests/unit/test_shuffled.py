"""On shuffled targets a network falls to chance, unless it has seen validation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from omegaconf import DictConfig, OmegaConf

from goodfit import build
from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.evaluation.shuffled import DRAWS, keep, known, shuffled
from goodfit.records.fit import Shuffled
from goodfit.records.interval import Interval
from goodfit.reporting.fit import of_shuffled
from goodfit.store.arrays import Packed
from goodfit.store.prepare import prepare
from goodfit.store.relabelled import SAMPLE, Relabelled, drawn, units

pytestmark = pytest.mark.fault(61)
FOUND = Shuffled(
    by=SAMPLE,
    score="accuracy",
    mode="max",
    train=0.98,
    validation=0.7,
    chance=Interval(0.5, 0.4, 0.6),
    probability=0.005,
    steps=700,
    data_sha256="a",
)


@pytest.fixture(scope="module")
def masses(tmp_path_factory: pytest.TempPathFactory) -> tuple[DictConfig, Path]:
    """569 real rows, of which 85 are of validation, with a column that names pairs of them."""
    from sklearn.datasets import load_breast_cancer

    folder = tmp_path_factory.mktemp("masses")
    loaded = load_breast_cancer(as_frame=True)
    rows = loaded.data.assign(label=loaded.target.map({0: "bad", 1: "good"}))
    rows["ward"] = np.random.default_rng(0).integers(0, 280, len(rows)).astype(str)
    rows.to_csv(folder / "table.csv", index=False)
    section = tiny.section("data", "table-class") | {"label": "label", "drop": [], "columns": {}}
    cfg = tiny.cfg("breast_cancer", model="mlp", trainer={"max_epochs": 60})
    cfg = OmegaConf.merge(cfg, {"data": section, "model": {"dropout": 0.0, "width": 64}})
    assert isinstance(cfg, DictConfig)
    data = build.data_set(cfg)
    raw = {"table": folder / "table.csv"}
    prepare(data, raw, folder / "prepared", made_with=tree.data_section(cfg))
    return cfg, folder / "prepared"


@pytest.mark.slow
def test_without_a_leak_it_falls_to_chance(masses: tuple[DictConfig, Path]) -> None:
    cfg, folder = masses
    found = shuffled(cfg, folder, SAMPLE)
    assert found.train > 0.9  # learned by heart
    assert found.chance.low <= found.validation <= found.chance.high
    assert found.leak is None


@pytest.mark.slow
def test_samples_of_train_in_validation_show(
    masses: tuple[DictConfig, Path], tmp_path: Path
) -> None:
    cfg, folder = masses
    shutil.copytree(folder, tmp_path / "prepared")
    path = tmp_path / "prepared/validation/numbers.npy"
    values, train = np.load(path), np.load(folder / "train/numbers.npy")
    values[:40] = train[:40]
    np.save(path, values)
    found = shuffled(cfg, tmp_path / "prepared", SAMPLE)
    assert found.probability == 1 / (DRAWS + 1)
    assert found.leak is not None
    assert "it has seen the same samples" in found.leak


def test_equal_inputs_are_a_unit_on_both_sides(
    masses: tuple[DictConfig, Path], tmp_path: Path
) -> None:
    _, folder = masses
    shutil.copytree(folder, tmp_path / "prepared")
    train = np.load(folder / "train/numbers.npy")
    values = np.load(folder / "validation/numbers.npy")
    values[3] = train[5]
    np.save(tmp_path / "prepared/validation/numbers.npy", values)
    of_split = units(tmp_path / "prepared", SAMPLE)
    assert of_split["validation"][3] == of_split["train"][5]
    assert len(np.intersect1d(of_split["validation"], of_split["train"])) == 1
    donors = drawn(of_split, seed=0)
    assert donors["validation"][3] == donors["train"][5]


def test_rows_of_a_value_share_their_target(masses: tuple[DictConfig, Path]) -> None:
    _, folder = masses
    of_split = units(folder, "ward")
    donors = drawn(of_split, seed=0)
    for split in ("train", "validation"):
        wards = pd.read_parquet(folder / split / "rows.parquet")["ward"]
        targets = Relabelled(folder, split, donors[split]).batch(_all(donors[split])).targets
        different = pd.Series(targets["target"].numpy()).groupby(wards.to_numpy()).nunique()
        assert different.max() == 1


def test_relabelled_samples_keep_their_inputs(masses: tuple[DictConfig, Path]) -> None:
    _, folder = masses
    donors = drawn(units(folder, SAMPLE), seed=0)["validation"]
    rows = _all(donors)
    ours, theirs = Relabelled(folder, "validation", donors), Packed(folder, "validation")
    assert ours.batch(rows).inputs["numbers"].equal(theirs.batch(rows).inputs["numbers"])
    given = Packed(folder, "train").targets["target"][donors]
    assert ours.only([]).batch(rows).targets["target"].equal(given)


def test_a_column_that_is_not_there_is_refused_with_the_nearest(
    masses: tuple[DictConfig, Path],
) -> None:
    cfg, folder = masses
    with pytest.raises(UserError, match=r"no column 'wards'. Did you mean 'ward'"):
        shuffled(cfg, folder, "wards")


def test_a_validation_of_few_units_is_refused(prepared: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match=r"validation has .* it takes 30"):
        shuffled(tiny.cfg(tiny.QUICK), prepared(tiny.QUICK), SAMPLE)


def test_what_was_found_is_kept_by_unit_and_for_these_data_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert known("x", "a") == ()
    ward = replace(FOUND, by="ward")
    for found in (FOUND, ward, replace(FOUND, steps=9)):
        keep("x", found)
    assert known("x", "a") == (ward, replace(FOUND, steps=9))
    assert known("x", "b") == ()


@pytest.mark.parametrize(("probability", "leaks"), [(0.005, True), (0.01, False)])
def test_one_in_two_hundred_is_a_leak(probability: float, leaks: bool) -> None:
    assert (replace(FOUND, probability=probability).leak is not None) == leaks


def test_what_is_printed_has_chance_beside_the_score() -> None:
    assert of_shuffled(FOUND) == (
        "on targets shuffled by sample the network scores accuracy 0.980 on train, learned by "
        "heart in 700 steps, and 0.700 on validation, where chance gives 0.400 to 0.600"
    )


def _all(donors: torch.Tensor) -> torch.Tensor:
    return torch.arange(len(donors))

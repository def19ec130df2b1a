"""A share of train: whole units, drawn by the seed, one in the other, the same for all methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from omegaconf import DictConfig, OmegaConf

from goodfit import build
from goodfit.config.check import check
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.evaluation.baselines import labelled
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches, Shard
from goodfit.store.share import rows_of, units_in
from goodfit.training import loop
from goodfit.training.share import rows_of_train

Prepared = Callable[[str], Path]
PATIENTS = torch.tensor([3, 3, 3, 0, 0, 1, 1, 1, 1, 2, 4, 4, 5, 6, 7, 8, 9, 9])


def taken(share: float, seed: int = 0, *, latest: bool = False) -> set[int]:
    return set(rows_of(PATIENTS, share, seed=seed, latest=latest).tolist())


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 1.0])
def test_a_patient_is_in_with_all_rows_or_out(share: float) -> None:
    rows = taken(share)
    patients = {int(PATIENTS[row]) for row in rows}
    assert len(patients) == round(10 * share)
    assert rows == {row for row, patient in enumerate(PATIENTS.tolist()) if patient in patients}


def test_the_smaller_share_lies_in_the_larger_one() -> None:
    for seed in range(5):
        assert taken(0.1, seed) < taken(0.2, seed) < taken(0.7, seed) < taken(1.0, seed)


def test_another_seed_draws_others() -> None:
    assert len({frozenset(taken(0.3, seed)) for seed in range(20)}) > 10


def test_of_series_the_latest_blocks_of_time_are_taken_whatever_the_seed() -> None:
    for seed in range(3):
        assert {int(PATIENTS[row]) for row in taken(0.3, seed, latest=True)} == {7, 8, 9}


def test_a_share_is_rounded_up_and_never_empty() -> None:
    assert [units_in(10, share) for share in (0.01, 0.7, 0.71, 1.0)] == [1, 7, 8, 10]


@pytest.mark.parametrize("case", ["breast_cancer", "reviews"])
def test_a_part_gives_the_very_samples_that_it_names(prepared: Prepared, case: str) -> None:
    whole = Packed(prepared(case), "train")
    rows = torch.tensor([7, 2, 11, 3])
    part = whole.part(rows)
    assert len(part) == 4
    assert part.clusters.tolist() == whole.clusters[rows].tolist()
    if whole.lengths is not None:
        assert part.lengths is not None
        assert part.lengths.tolist() == whole.lengths[rows].tolist()
    ours, theirs = part.batch(torch.tensor([0, 3])), whole.batch(rows[[0, 3]])
    for name, values in ours.inputs.items():
        assert torch.equal(values, theirs.inputs[name])
    assert torch.equal(ours.rows, theirs.rows)
    again = part.part(torch.tensor([1]))
    assert again.batch(torch.tensor([0])).rows.tolist() == [2]


def test_an_epoch_of_a_part_has_each_of_its_samples_once(prepared: Prepared) -> None:
    rows = torch.arange(1, 30, 3)
    data = Packed(prepared("breast_cancer"), "train").part(rows)
    seen = [batch.rows for batch in Batches(data, 4, epoch=lambda: 2)]
    assert sorted(torch.cat(seen).tolist()) == rows.tolist()


def test_weights_of_samples_stay_with_their_samples(prepared: Prepared) -> None:
    whole, rows = Packed(prepared("breast_cancer"), "train"), torch.tensor([5, 0, 9])
    whole.sample_weight = torch.arange(len(whole)) / 2
    batch = whole.part(rows).batch(torch.tensor([2, 0]))
    assert batch.sample_weight is not None
    assert batch.sample_weight.tolist() == [4.5, 2.5]


def test_other_inputs_of_a_part_stay_beside_their_targets(prepared: Prepared) -> None:
    whole, rows = Packed(prepared("breast_cancer"), "train"), torch.tensor([5, 2, 7])
    values = torch.tensor([[0.5], [0.2], [0.7]])
    batch = whole.part(rows).given({"features": values}).batch(torch.tensor([2, 0]))
    assert torch.equal(batch.inputs["features"], values[[2, 0]])
    expected = whole.batch(torch.tensor([7, 5])).targets
    assert all(torch.equal(batch.targets[name], expected[name]) for name in expected)


def test_all_of_train_takes_no_rows_and_a_share_what_its_seed_draws(prepared: Prepared) -> None:
    folder = prepared("breast_cancer")
    assert rows_of_train(tiny.cfg("breast_cancer"), folder) is None
    rows = rows_of_train(tiny.cfg("breast_cancer", loader={"share": 0.5}, seed=3), folder)
    clusters = Packed(folder, "train").clusters
    assert rows is not None
    assert torch.equal(rows, rows_of(clusters, 0.5, seed=3, latest=False))


def test_weeks_of_a_series_are_the_latest(prepared: Prepared) -> None:
    folder = prepared("electricity")
    rows = rows_of_train(tiny.cfg("electricity", loader={"share": 0.3}), folder)
    clusters = Packed(folder, "train").clusters
    assert rows is not None
    assert clusters[rows].min() > clusters[: rows.min()].max()
    assert clusters[rows].max() == clusters.max()


def test_what_a_task_learns_of_targets_is_learned_of_the_share(prepared: Prepared) -> None:
    """Targets of the others are no more known than in a smaller file."""
    folder = prepared("table-number")
    whole = tiny.cfg("table-number", task="regression")
    whole.task.transform = "yeojohnson"
    cfg = OmegaConf.merge(whole, {"loader": {"share": 0.3}})
    assert isinstance(cfg, DictConfig)
    task, data = loop.prepare(cfg, folder, Shard())
    rows = rows_of_train(cfg, folder)
    assert rows is not None
    assert len(data.train) == len(rows)
    learned, _ = loop.prepare(whole, folder, Shard())
    buffers, of_all = (dict(each.named_buffers()) for each in (task, learned))
    assert any(not torch.equal(buffers[name], of_all[name]) for name in buffers)


def test_a_baseline_is_fitted_on_the_samples_of_the_network(prepared: Prepared) -> None:
    folder = prepared("breast_cancer")
    cfg = tiny.cfg("breast_cancer", loader={"share": 0.4})
    rows, spec = rows_of_train(cfg, folder), DataSpec.read(folder / "spec.json")
    assert rows is not None
    train = labelled(folder, "train", spec)
    part = train.part(rows)
    batch = Packed(folder, "train").part(rows).batch(torch.arange(len(rows)))
    assert np.array_equal(part.inputs["numbers"], batch.inputs["numbers"].numpy())
    assert np.array_equal(part.targets["target"], batch.targets["target"].numpy())
    assert part.rows["raw_row"].tolist() == train.rows["raw_row"].iloc[rows.tolist()].tolist()
    assert build.baselines(cfg)  # evaluate hands it to these


@pytest.mark.parametrize("share", [0, -0.5, 1.5, "half", None])
def test_a_share_outside_0_and_1_is_refused(share: Any) -> None:
    with pytest.raises(UserError, match=r"loader\.share"):
        check(tiny.cfg("breast_cancer", loader={"share": share}))

"""Mixup and CutMix do what their papers say, whichever part of a step a sample is in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.augment.base import Augment, beta
from goodfit.augment.chain import Chain
from goodfit.augment.cutmix import CutMix
from goodfit.augment.mixup import Mixup
from goodfit.augment.noise import Noise
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches, Shard

SAMPLES = 4000
ROWS = torch.arange(SAMPLES)


def random(rows: Tensor = ROWS, epoch: int = 0) -> PerSampleRandom:
    return PerSampleRandom(rows, seed=0, epoch=epoch)


def images() -> Batch:
    """Images of zeros of class 0, and in turn of ones of class 1."""
    label = ROWS % 2
    image = label[:, None, None, None].float().expand(-1, 1, 12, 8).contiguous()
    return Batch({"image": image}, {"target": F.one_hot(label, 2).float()}, ROWS)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
def test_the_share_has_mean_and_variance_of_its_distribution(alpha: float) -> None:
    share = torch.cat([beta(random(epoch=epoch), alpha) for epoch in range(10)])
    assert float(share.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


@pytest.mark.parametrize("augment", [Mixup(alpha=0.4, share=1.0), CutMix(alpha=1.0, share=1.0)])
def test_the_label_is_the_share_of_what_one_sees(augment: Augment) -> None:
    """Of an image between zeros and ones the mean is the share of the class of ones, exactly."""
    mixed = Chain([augment])(images(), random())
    of_ones = mixed.targets["target"][:, 1]
    assert torch.allclose(mixed.inputs["image"].mean((1, 2, 3)), of_ones, atol=1e-6)
    assert torch.allclose(mixed.targets["target"].sum(1), torch.ones(SAMPLES))
    assert float(of_ones.mean()) == pytest.approx(0.5, abs=0.01)


def test_mixup_is_linear_between_two_samples() -> None:
    values, label = torch.randn(6, 3), F.one_hot(torch.arange(6) % 3, 3).float()
    rows = torch.arange(6)
    mixed = Chain([Mixup(alpha=1.0, share=1.0)])(
        Batch({"numbers": values}, {"target": label}, rows), random(rows)
    )
    own = beta(random(rows), 1.0)[:, None]
    expected = own * values + (1 - own) * values.roll(-1, 0)
    assert torch.allclose(mixed.inputs["numbers"], expected, atol=1e-6)
    assert torch.allclose(mixed.targets["target"], own * label + (1 - own) * label.roll(-1, 0))


def test_cutmix_pastes_one_rectangle() -> None:
    batch = images()
    image = Chain([CutMix(alpha=1.0, share=1.0)])(batch, random()).inputs["image"]
    is_pasted = (image != batch.inputs["image"])[:, 0]
    height, width = is_pasted.any(2).sum(1), is_pasted.any(1).sum(1)
    assert torch.equal(is_pasted.sum((1, 2)), height * width)


def test_the_pasted_area_is_uniform_but_for_what_lies_outside() -> None:
    """Yun et al. 2019: 1 - lambda of the image; cut at the border, it is a little less."""
    own = Chain([CutMix(alpha=1.0, share=1.0)])(images(), random()).targets["target"]
    area = torch.where(ROWS % 2 == 0, own[:, 1], own[:, 0])
    assert 0.3 < float(area.mean()) < 0.5


def test_a_share_of_the_samples_stays_as_it_is() -> None:
    target = Chain([Mixup(alpha=1.0, share=0.25)])(images(), random()).targets["target"]
    is_mixed = (target.amax(1) < 1).float().mean()
    assert float(is_mixed) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("shard", [(1, 3), (2, 1), (2, 2)])
def test_however_a_step_is_divided_each_sample_is_mixed_alike(
    shard: tuple[int, int], prepared: Callable[[str], Path]
) -> None:
    data = Packed(prepared("breast_cancer"), "train").only(["numbers"])
    ranks, micro_batches = shard
    augment = Chain([Mixup(alpha=1.0, share=1.0), Noise(deviation=0.1)])
    whole = mixed(augment, data, Shard())
    parts = {}
    for rank in range(ranks):
        parts |= mixed(augment, data, Shard(rank, ranks, micro_batches))
    assert parts.keys() == whole.keys()
    for row, values in whole.items():
        assert torch.allclose(parts[row], values, atol=1e-6)


def mixed(augment: Chain, data: Packed, shard: Shard) -> dict[int, Tensor]:
    """What an epoch shows of each row in this part of the steps: numbers, and the label behind."""
    batches = Batches(data, 16, epoch=lambda: 2, shard=shard, paired=True)
    found = {}
    for batch in batches:
        soft = _soft(batch)
        if soft.partner is not None:
            soft = soft._replace(partner=_soft(soft.partner))
        changed = augment(soft, random(batch.rows, epoch=2))
        shown = torch.cat([changed.inputs["numbers"], changed.targets["target"]], 1)
        found |= dict(zip(batch.rows.tolist(), shown, strict=True))
    return found


def _soft(batch: Batch) -> Batch:
    return batch._replace(targets={"target": F.one_hot(batch.targets["target"], 2).float()})

"""Noise, masks, gaps and left-out blocks do what their papers say."""

from __future__ import annotations

import pytest
import texts
import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.augment.base import Augment
from goodfit.augment.feature_dropout import FeatureDropout
from goodfit.augment.flip import Flip
from goodfit.augment.noise import Noise
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.augment.token_dropout import TokenDropout
from goodfit.contract import END, PAD, UNKNOWN, Batch
from goodfit.model.blocks import StochasticDepth, depths
from goodfit.model.log_mel import LogMel, stretch
from goodfit.model.seq2seq import Seq2Seq

ROWS = torch.arange(5000)


def changed(augment: Augment, **inputs: Tensor) -> Batch:
    rows = ROWS[: len(next(iter(inputs.values())))]
    return augment(Batch(inputs, {}, rows), PerSampleRandom(rows, seed=0, epoch=0))


def test_noise_is_gaussian_of_the_deviation() -> None:
    noise = changed(Noise(deviation=0.5), numbers=torch.zeros(5000, 4)).inputs["numbers"] / 0.5
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    within = (noise.abs() < 1).float().mean()
    assert float(within) == pytest.approx(0.6827, abs=0.01)
    # no number tells another one
    assert torch.corrcoef(noise.T).fill_diagonal_(0).abs().max() < 0.05


def test_a_dropped_feature_has_the_mean_of_train_and_the_others_stay() -> None:
    values = torch.randn(5000, 4)
    dropped = changed(FeatureDropout(share=0.3), numbers=values).inputs["numbers"]
    is_dropped = dropped != values
    assert (dropped[is_dropped] == 0).all()
    assert float(is_dropped.float().mean()) == pytest.approx(0.3, abs=0.01)


def test_tokens_become_unknown_but_never_the_end_or_padding() -> None:
    source = torch.tensor([7, 8, 9, END, PAD]).repeat(5000, 1)
    dropped = changed(TokenDropout(share=0.2), source=source).inputs["source"]
    assert torch.equal(dropped[:, 3:], source[:, 3:])
    is_dropped = dropped[:, :3] != source[:, :3]
    assert (dropped[:, :3][is_dropped] == UNKNOWN).all()
    assert float(is_dropped.float().mean()) == pytest.approx(0.2, abs=0.01)


def test_a_flipped_box_covers_the_same_pixels() -> None:
    image = torch.zeros(64, 1, 6, 10)
    image[:, :, 2:4, 1:5] = 1
    boxes = torch.tensor([[1.0, 2, 5, 4], [0, 0, 0, 0]]).repeat(64, 1, 1)
    rows, length = torch.arange(64), torch.ones(64, dtype=torch.long)
    batch = Batch({"image": image}, {"boxes": boxes, "boxes_length": length}, rows)
    flipped = Flip()(batch, PerSampleRandom(rows, seed=0, epoch=0))
    left = flipped.targets["boxes"][:, 0, 0]
    assert set(left.tolist()) == {1.0, 5.0}
    for row in range(64):
        begin, top, end, bottom = flipped.targets["boxes"][row, 0].long().tolist()
        assert flipped.inputs["image"][row, :, top:bottom, begin:end].sum() == 8
    assert (flipped.targets["boxes"][:, 1] == 0).all()


def test_a_block_is_left_out_as_often_as_said_and_its_expectation_stays() -> None:
    layer = StochasticDepth(0.4)
    torch.manual_seed(0)
    kept = layer(torch.ones(20000, 2))
    assert torch.equal(kept[:, 0], kept[:, 1])  # of a sample, all or nothing
    assert float((kept[:, 0] == 0).float().mean()) == pytest.approx(0.4, abs=0.01)
    assert float(kept.mean()) == pytest.approx(1, abs=0.02)


def test_outside_training_no_block_is_left_out() -> None:
    added = torch.randn(8, 3)
    assert torch.equal(StochasticDepth(0.4).eval()(added), added)


def test_later_blocks_are_left_out_more_often() -> None:
    assert depths(0.4, 4) == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_stochastic_depth_reaches_the_blocks_of_a_network() -> None:
    torch.manual_seed(0)
    options = {"width": 16, "heads": 2, "blocks": 1, "dropout": 0.0}
    network = Seq2Seq(texts.spec(), **options, stochastic_depth=0.9)  # type: ignore[arg-type]
    source = texts.padded(texts.SOURCES)
    once, again = network.read(source).crosses[0], network.read(source).crosses[0]
    assert not torch.equal(once, again)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_mask_is_one_stretch_of_any_width_up_to_the_limit(share: float) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([20.0, 10.0]).repeat(5000)
    places = stretch(lengths, share, 24)
    width = places.sum(1)
    begins = (places & ~F.pad(places, (1, 0))[:, :-1]).sum(1)
    assert torch.equal(begins, (width > 0).long())
    for length in (20, 10):
        of_length = width[lengths == length]
        limit = int(share * length)
        counts = torch.bincount(of_length) / len(of_length)
        assert len(counts) == limit + 1
        assert counts.tolist() == pytest.approx([1 / (limit + 1)] * (limit + 1), abs=0.02)
        assert not places[lengths == length, length:].any()


def test_hidden_bands_and_frames_have_the_mean_and_validation_sees_all() -> None:
    torch.manual_seed(0)
    audio = (torch.randn(16, 4000) * 3000).short()
    options = {"bands": 20, "window": 0.032, "normalize": "mean"}
    plain = LogMel(8000, **options, mask_bands=0.0, mask_frames=0.0)  # type: ignore[arg-type]
    masked = LogMel(8000, **options, mask_bands=0.5, mask_frames=0.5)  # type: ignore[arg-type]
    whole, _ = plain(audio)
    hidden, _ = masked(audio)
    is_hidden = hidden != whole
    assert 0 < float(is_hidden.float().mean()) < 0.7
    assert hidden[is_hidden].abs().max() < 1e-4  # the mean, where each band has its own taken off
    assert torch.equal(masked.eval()(audio)[0], whole)

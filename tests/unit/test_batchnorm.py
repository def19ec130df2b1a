"""BatchNorm over all ranks: torch's own on CUDA, ours on a CPU; weights and names stay."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import ranks
import torch
from batchnorms import NAMES, compare_ranks_with_one, network
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from goodfit.training.batchnorm import synchronize_batchnorm


@pytest.mark.parametrize("cuda", [True, False])
def test_every_batchnorm_becomes_one_over_all_ranks(cuda: bool) -> None:
    synchronized = network()
    synchronize_batchnorm(synchronized, cuda=cuda)
    for name in NAMES:
        module = synchronized.get_submodule(name)
        if cuda:
            assert type(module) is nn.SyncBatchNorm
        else:
            assert type(module).__module__ == "goodfit.training.batchnorm"
    modules = synchronized.named_modules()
    left = [name for name, module in modules if isinstance(module, _BatchNorm)]
    assert left == (list(NAMES) if cuda else [])  # torch's own is one, too


@pytest.mark.parametrize("cuda", [True, False])
def test_names_weights_and_buffers_stay(cuda: bool) -> None:
    plain, synchronized = network(), network()
    parameters = dict(synchronized.named_parameters())
    synchronize_batchnorm(synchronized, cuda=cuda)

    expected, state = plain.state_dict(), synchronized.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert torch.equal(state[name], value), name
    # the same objects: an optimizer that was made before holds them
    for name, parameter in synchronized.named_parameters():
        assert parameter is parameters[name]


@pytest.mark.parametrize("cuda", [True, False])
def test_in_evaluation_nothing_changes(cuda: bool) -> None:
    plain, synchronized = network().eval(), network()
    synchronize_batchnorm(synchronized, cuda=cuda)
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(synchronized.eval()(images), plain(images))


@pytest.mark.slow
def test_two_ranks_normalize_over_the_samples_of_both(tmp_path: Path) -> None:
    compare_ranks_with_one(tmp_path, cuda=False)


@pytest.mark.parametrize("training", [True, False])
def test_without_running_statistics_the_batch_normalizes_itself(training: bool) -> None:
    plain = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).train(training)
    synchronized = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).train(training)
    synchronize_batchnorm(synchronized, cuda=False)
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(synchronized(images), plain(images))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.bfloat16, 0.02)])
def test_in_every_precision_of_the_trainer_it_trains_as_batchnorm(
    dtype: torch.dtype, tolerance: float
) -> None:
    plain = nn.Sequential(nn.BatchNorm2d(3)).to(dtype)
    synchronized = deepcopy(plain)
    synchronize_batchnorm(synchronized, cuda=False)
    images = torch.randn(4, 3, 8, 8, dtype=dtype)

    with ranks.alone():
        for trained in (plain, synchronized):
            trained(images).exp().sum().backward()
    for name, parameter in plain.named_parameters():
        gradient = synchronized.get_parameter(name).grad
        torch.testing.assert_close(gradient, parameter.grad, rtol=tolerance, atol=tolerance)
    for name, buffer in plain.named_buffers():
        other = synchronized.get_buffer(name)
        torch.testing.assert_close(other, buffer, rtol=tolerance, atol=tolerance)

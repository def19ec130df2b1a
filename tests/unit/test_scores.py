"""Scores agree with scikit-learn's, also on test sets that a bootstrap has robbed of a class."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from goodfit.evaluation.bootstrap import Resamples, intervals
from goodfit.metrics.classification import (
    Auroc,
    AveragePrecision,
    accuracy,
    balanced_accuracy,
    log_loss,
    macro_f1,
)
from goodfit.task.scores import SortedScore, of_predictions


def auroc(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of each sample once."""
    return Auroc(probability, target).of(torch.ones_like(target))


def average_precision(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of each sample once."""
    return AveragePrecision(probability, target).of(torch.ones_like(target))


def sample(seed: int, classes: int, only: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of `classes`, with ties, and targets of the first `only` classes alone."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(1, 6, (60, classes), generator=generator).float()
    return raw / raw.sum(1, keepdim=True), torch.randint(only, (60,), generator=generator)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("classes", "only"), [(2, 2), (4, 4), (4, 3), (7, 2)])
def test_auroc_is_the_mean_of_the_present_classes(classes: int, only: int, seed: int) -> None:
    probability, target = sample(seed, classes, only)
    each = [roc_auc_score((target == k).numpy(), probability[:, k].numpy()) for k in range(only)]
    assert float(auroc(probability, target)) == pytest.approx(np.mean(each), abs=1e-15)


def test_auroc_of_a_single_class_is_chance() -> None:
    probability, _ = sample(0, 3, 3)
    assert float(auroc(probability, torch.full((60,), 2))) == 0.5


def test_auroc_leaves_out_a_class_between_others() -> None:
    """Of three classes the second is absent: its column is left out, not the last one."""
    probability, _ = sample(3, 3, 3)
    target = torch.tensor([0, 2]).repeat(30)
    each = []
    for label in (0, 2):
        each.append(roc_auc_score((target == label).numpy(), probability[:, label].numpy()))
    assert float(auroc(probability, target)) == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("classes", "only"), [(2, 2), (4, 3), (7, 2), (90, 90)])
def test_accuracy_and_f1_are_those_of_torchmetrics_and_scikit_learn(
    classes: int, only: int, seed: int
) -> None:
    probability, target = sample(seed, classes, only)
    decided = probability.argmax(1)
    f1 = multiclass_f1_score(probability, target, classes, average="macro")
    share = multiclass_accuracy(probability, target, classes, average="micro")
    assert float(macro_f1(decided, target, classes)) == pytest.approx(float(f1), abs=1e-7)
    assert float(accuracy(decided, target)) == float(share)
    known = f1_score(target, decided, average="macro")
    assert float(macro_f1(decided, target, classes)) == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("classes", "only"), [(2, 2), (4, 3), (7, 2)])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_balanced_accuracy_and_average_precision_are_those_of_scikit_learn(
    classes: int, only: int, seed: int
) -> None:
    probability, target = sample(seed, classes, only)
    decided = probability.argmax(1)
    known = balanced_accuracy_score(target, decided)
    assert float(balanced_accuracy(decided, target, classes)) == pytest.approx(known, abs=1e-6)
    each = [average_precision_score(target == k, probability[:, k]) for k in range(only)]
    found = average_precision(probability, target)
    assert float(found) == pytest.approx(np.mean(each), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_of_weights_is_that_of_repeated_rows(seed: int) -> None:
    probability, target = sample(seed, 5, 4)
    rows = torch.randint(60, (60,), generator=torch.Generator().manual_seed(seed))
    weights = torch.bincount(rows, minlength=60)
    drawn = AveragePrecision(probability[rows], target[rows]).of(torch.ones(60))
    found = AveragePrecision(probability, target).of(weights)
    assert float(found) == pytest.approx(float(drawn), abs=1e-14)


def test_log_loss_of_a_class_that_was_given_nothing_is_finite() -> None:
    probability, target = torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([0, 1])
    expected = (np.log(2) + 12 * np.log(10)) / 2
    assert float(log_loss(probability, target)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_of_weights_is_that_of_repeated_rows(seed: int) -> None:
    probability, target = sample(seed, 5, 4)
    rows = torch.randint(60, (60,), generator=torch.Generator().manual_seed(seed))
    weights = torch.bincount(rows, minlength=60)
    drawn = float(auroc(probability[rows], target[rows]))
    assert float(Auroc(probability, target).of(weights)) == pytest.approx(drawn, abs=1e-15)
    of_one = torch.bincount(torch.where(target == 2)[0], minlength=60)
    assert float(Auroc(probability, target).of(of_one)) == 0.5


def test_what_is_sorted_once_has_the_interval_of_what_is_sorted_each_time() -> None:
    probability, target = sample(1, 4, 4)
    statistics = {"network": {"prediction": probability, "target": target}}
    draws = Resamples(torch.arange(60) // 3, 50, seed=0)
    once = {"auroc": SortedScore(lambda *samples: Auroc(*samples).of)}
    each_time = of_predictions({"auroc": lambda p, t, w: auroc(p, t)})
    found, expected = (
        intervals(metrics, statistics, draws, additive=False)["network"]["auroc"]
        for metrics in (once, each_time)
    )
    assert np.allclose(found.values, expected.values, rtol=0, atol=1e-15)
    assert found.interval.value == pytest.approx(expected.interval.value, abs=1e-15)


@pytest.mark.slow
@pytest.mark.fault(34)
def test_a_thousand_classes_need_no_more_than_samples_times_classes() -> None:
    """Deterministic algorithms made a row of K squared for each sample: 18 GB for 6,000 samples."""
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(6_000, 1_000, generator=generator).softmax(1)
    target = torch.randint(1_000, (6_000,), generator=generator)
    of_input = probability.nbytes / 1024
    torch.use_deterministic_algorithms(True)
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        decided = probability.argmax(1)
        for score in (macro_f1, balanced_accuracy):
            assert 0 <= float(score(decided, target, 1_000)) < 10
        for score in (auroc, average_precision, log_loss):
            assert 0 <= float(score(probability, target)) < 10
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    finally:
        torch.use_deterministic_algorithms(False)
    assert grown < 20 * of_input

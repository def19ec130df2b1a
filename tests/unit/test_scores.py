"""Scores agree with scikit-learn's, also on test sets that a bootstrap has robbed of a class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from goodfit.task.classification import auroc


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
    assert float(auroc(probability, target)) == pytest.approx(np.mean(each), abs=1e-6)


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

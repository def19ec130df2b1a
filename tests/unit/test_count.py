"""Counts: likelihoods as SciPy has them, never a negative one, and cells that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from scipy import stats
from sklearn.metrics import mean_poisson_deviance
from small_tasks import made, spec

from goodfit import build
from goodfit.contract import Field
from goodfit.data.faults import CellsError
from goodfit.metrics.counts import deviance

COUNTS = torch.tensor([0.0, 1.0, 2.0, 7.0, 40.0])
DATA = spec("count", 1, Field((), "float32", (3.0,), (2.0,)))
BEST = stats.poisson(COUNTS.numpy()).logpmf(COUNTS.numpy())
OUTPUT = torch.tensor([[-1.0], [0.2], [0.0], [1.0], [2.0]])


def test_the_loss_of_poisson_is_the_likelihood() -> None:
    task = made("count", DATA)
    mean = 3.0 * OUTPUT[:, 0].exp()
    torch.testing.assert_close(task.predict(OUTPUT), mean)
    expected = BEST - stats.poisson(mean.numpy()).logpmf(COUNTS.numpy())
    assert task.loss(OUTPUT, COUNTS).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


@pytest.mark.parametrize("log_dispersion", [-3.0, 0.0, 1.5])
def test_the_loss_of_a_negative_binomial_is_the_likelihood(log_dispersion: float) -> None:
    task = made("count", DATA, distribution="negative_binomial")
    assert task.outputs(DATA, distribution="negative_binomial") == 2
    output = torch.cat([OUTPUT, torch.full_like(OUTPUT, log_dispersion)], 1)
    mean, size = 3.0 * OUTPUT[:, 0].exp().numpy(), np.exp(-log_dispersion)
    expected = BEST - stats.nbinom(size, size / (size + mean)).logpmf(COUNTS.numpy())
    assert task.loss(output, COUNTS).tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    torch.testing.assert_close(task.predict(output), 3.0 * OUTPUT[:, 0].exp())


def test_no_output_is_a_negative_or_an_infinite_count() -> None:
    far = made("count", DATA).predict(torch.tensor([[-1e9], [1e9]]))
    assert (far >= 0).all()
    assert torch.isfinite(far).all()


def test_the_deviance_is_that_of_scikit_learn() -> None:
    guess = torch.tensor([0.3, 1.5, 2.0, 3.0, 50.0])
    known = mean_poisson_deviance(COUNTS, guess)
    assert float(deviance(guess, COUNTS)) == pytest.approx(known, rel=1e-6)
    assert float(deviance(COUNTS, COUNTS)) == pytest.approx(0, abs=1e-8)


def test_a_cell_that_is_no_count_is_listed_with_its_row(tmp_path: Path) -> None:
    data = build.data_set(tiny.cfg("table-count"))
    file = tmp_path / "table.csv"
    file.write_text("size,rooms\n1.5,2\n2.5,-1\n3.5,2.5\n4.5,3\n")
    with pytest.raises(CellsError) as refusal:
        data.read({"table": file})
    assert [(fault.row, fault.column) for fault in refusal.value.faults] == [
        (3, "rooms"),
        (4, "rooms"),
    ]
    assert "'2.5' is no count, a whole number from 0 on" in str(refusal.value)

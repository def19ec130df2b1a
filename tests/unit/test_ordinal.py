"""Ordered classes: a likelihood that keeps the order, the nearest answer, a given order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from made_tables import read, table
from sklearn.metrics import cohen_kappa_score
from small_tasks import made, spec

from goodfit.contract import Field
from goodfit.data.faults import CellsError
from goodfit.errors import UserError
from goodfit.metrics.ordered import weighted_kappa

ORDER = ("low", "mid", "high", "top")
DATA = spec("ordered", 4, Field((), "int64", labels=ORDER))
CELLS = [("a", "low"), ("b", "mid"), ("c", "high"), ("d", "low")] * 8


def rows(*cells: tuple[str, str]) -> str:
    """A file of a number, a letter and a label."""
    lines = [f"{row + 0.5},{letter},{label}" for row, (letter, label) in enumerate(cells)]
    return "\n".join(["x,letter,y", *lines]) + "\n"


def test_the_loss_is_the_log_likelihood_of_the_prediction() -> None:
    task, output = made("ordinal", DATA), torch.randn(40, 3)
    probability, target = task.predict(output), torch.arange(40) % 4
    torch.testing.assert_close(probability.sum(1), torch.ones(40))
    expected = -probability.gather(1, target[:, None]).squeeze(1).log()
    torch.testing.assert_close(task.loss(output, target), expected, rtol=1e-5, atol=1e-5)


def test_the_median_is_answered_which_is_nearest_on_average() -> None:
    task = made("ordinal", DATA)
    probability = torch.tensor([[0.4, 0.3, 0.3, 0.0], [0.0, 0.2, 0.2, 0.6], [0.6, 0.0, 0.0, 0.4]])
    assert task.decode(probability)["label"].tolist() == ["mid", "top", "low"]
    ranks = torch.arange(4.0)
    for row, answered in zip(probability, task.decide(probability), strict=True):
        distances = (row * (ranks[:, None] - ranks).abs()).sum(1)
        assert float(distances[answered]) == pytest.approx(float(distances.min()))


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    answered, target = torch.randint(5, (2, 30), generator=generator)
    known = cohen_kappa_score(target, answered, weights="quadratic", labels=list(range(6)))
    assert float(weighted_kappa(answered, target, 6)) == pytest.approx(known, abs=1e-12)


def test_kappa_of_a_single_class_tells_whether_it_is_answered() -> None:
    ones = torch.ones(4, dtype=torch.long)
    assert float(weighted_kappa(ones, ones, 3)) == 1.0
    assert float(weighted_kappa(ones, 2 * ones, 3)) == 0.0


def test_classes_are_numbered_as_their_order_says(tmp_path: Path) -> None:
    options: dict[str, Any] = {"kind": "ordered", "order": ["low", "mid", "high"]}
    data = table(**options)
    cells = read(tmp_path, rows(*CELLS), **options)
    fitted = data.fit(cells)
    assert fitted.labels == ("low", "mid", "high")
    assert data.encode_targets(cells.head(3), fitted)["target"].tolist() == [0, 1, 2]


def test_a_label_without_a_place_is_listed_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(CellsError, match=r"'high' is not in data.order") as refusal:
        read(tmp_path, rows(*CELLS), kind="ordered", order=["low", "mid"])
    assert refusal.value.faults[0].row == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "ordered"}, "takes data.order, .*; 'y' has high, low, mid"),
        ({"kind": "ordered", "order": ["low", "mid", "high", "low"]}, "each once"),
        ({"kind": "class", "order": ["low", "mid", "high"]}, "data.order is for data.kind=ordered"),
    ],
)
def test_an_order_that_is_none_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, rows(*CELLS), **options)


def test_a_label_that_train_lacks_is_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"kind": "ordered", "order": ["low", "mid", "high", "top"]}
    cells = read(tmp_path, rows(*CELLS), **options)
    with pytest.raises(UserError, match=r"data.order names top, of which train has no row"):
        table(**options).fit(cells)

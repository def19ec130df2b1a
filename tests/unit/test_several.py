"""Several targets of a row: labels that hold at once, in columns or in a cell, and numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_tables import read, table
from sklearn.metrics import average_precision_score, f1_score
from sklearn.metrics import log_loss as known_log_loss
from small_tasks import made, spec

from goodfit.baseline.base import LabelledSamples
from goodfit.baseline.each import fit_each, predict_each
from goodfit.baseline.logistic import Logistic
from goodfit.contract import Field
from goodfit.data.faults import CellsError
from goodfit.errors import UserError
from goodfit.metrics.multilabel import average_precision, log_loss, macro_f1, micro_f1

COLUMNS = "x,wet,cold\n" + "".join(
    f"{row}.5,{'yes' if row % 2 else 'no'},{'TRUE' if row % 3 else 'False'}\n" for row in range(30)
)
CELL = "x,tags\n" + "".join(f"{row}.5,{['a; b', 'b', '', 'c;a'][row % 4]}\n" for row in range(32))
LABELS: dict[str, Any] = {"kind": "labels", "label": ["wet", "cold"]}
TAGS: dict[str, Any] = {"kind": "labels", "label": "tags", "separator": ";"}
NUMBERS: dict[str, Any] = {"kind": "numbers", "label": ["price", "weight"]}


def encoded(tmp_path: Path, text: str, **options: Any) -> tuple[Any, np.ndarray]:
    """The spec of a table, and its targets (N, K)."""
    data, rows = table(**options), read(tmp_path, text, **options)
    fitted = data.fit(rows)
    return fitted, np.asarray(data.encode_targets(rows, fitted)["target"])


def test_columns_of_yes_and_no_are_labels_that_hold_at_once(tmp_path: Path) -> None:
    fitted, target = encoded(tmp_path, COLUMNS, **LABELS)
    assert (fitted.labels, fitted.outputs) == (("wet", "cold"), 2)
    assert list(fitted.facts["columns"]) == ["x"]
    assert target[:4].tolist() == [[0, 0], [1, 1], [0, 1], [1, 0]]


def test_a_cell_holds_as_many_labels_as_its_separator_parts(tmp_path: Path) -> None:
    fitted, target = encoded(tmp_path, CELL, **TAGS)
    assert fitted.labels == ("a", "b", "c")
    assert target[:4].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert fitted.facts["target"] == {"tags": "the labels; 8 rows without any"}


def test_each_number_keeps_its_mean_and_deviation(tmp_path: Path) -> None:
    text = "x,price,weight\n" + "".join(f"{row}.25,{row}.5,{1000 * row}\n" for row in range(30))
    fitted, target = encoded(tmp_path, text, **NUMBERS)
    goal = fitted.targets["target"]
    assert goal.mean == pytest.approx((15.0, 14_500.0))
    assert target[3].tolist() == [3.5, 3000.0]
    assert list(fitted.facts["target"]) == ["price", "weight"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (COLUMNS.replace("yes", "perhaps", 1), LABELS, "'perhaps' is neither yes nor no"),
        (COLUMNS.replace("yes", "", 1), LABELS, "'' is neither yes nor no"),
        ("x,price,weight\n1,2.5,3\n2,,4\n3,5.5,6\n", NUMBERS, "is missing, and a target"),
    ],
)
def test_cells_that_are_no_targets_are_listed_with_their_rows(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CellsError, match=message) as refusal:
        read(tmp_path, text, **options)
    assert refusal.value.faults[0].row == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "class", "label": ["wet", "cold"]}, "data.kind=class takes one column"),
        ({"kind": "numbers", "label": "x"}, "takes several columns"),
        ({"kind": "labels", "label": "wet"}, "data.separator is what parts the labels"),
        (LABELS | {"separator": ";"}, "data.separator is what parts the labels"),
        (LABELS | {"label": ["wet", "wet"]}, "names a column twice"),
    ],
)
def test_columns_that_do_not_suit_the_kind_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        table(**options)


def test_a_label_that_train_lacks_is_refused(tmp_path: Path) -> None:
    data, rows = table(**TAGS), read(tmp_path, CELL, **TAGS)
    fitted = data.fit(rows[~rows["tags"].str.contains("c")])
    with pytest.raises(UserError, match="labels 'c' never occur in train"):
        data.encode_targets(rows, fitted)


def test_rare_labels_are_on_every_side_of_the_split(tmp_path: Path) -> None:
    rows = read(tmp_path, CELL, **TAGS)
    strata = table(**TAGS).strata(rows)
    assert strata[:4].tolist() == ["b", "b", "", "c"] or strata[:4].tolist() == ["a", "b", "", "c"]


def test_a_column_that_gives_one_of_the_targets_away_is_told_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["x,copy,price,weight"]
    for _ in range(800):
        x, price, weight = rng.normal(size=3).round(6)
        lines.append(f"{x},{2 * price + 1},{price},{weight}")
    rows = read(tmp_path, "\n".join(lines), **NUMBERS)
    read_as = json.loads(rows.attrs["columns"])
    assert "alone it tells 'price'" in read_as["copy"]["why"]
    assert "alone" not in read_as["x"]["why"]

    names = np.array(["train", "train", "train", "test"])[np.arange(800) % 4]
    said = [item.what for item in table(**NUMBERS).findings(rows, names)]
    assert len([what for what in said if "'copy' alone explains" in what]) == 1
    assert not any("weight" in what for what in said)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = (rng.random((40, 4)) < 0.4).astype(np.float32)
    probability = rng.integers(1, 9, (40, 4)).astype(np.float32) / 10  # with ties
    p, t = torch.from_numpy(probability), torch.from_numpy(target)
    decided = (p >= 0.5).float()
    for found, average in ((micro_f1, "micro"), (macro_f1, "macro")):
        known = f1_score(target, decided, average=average)
        assert float(found(decided, t)) == pytest.approx(known, abs=1e-6)
    known = average_precision_score(target, probability, average="macro")
    assert float(average_precision(p, t)) == pytest.approx(known, abs=1e-9)
    each = [known_log_loss(target[:, k], probability[:, k]) for k in range(4)]
    assert float(log_loss(p, t)) == pytest.approx(np.mean(each), rel=1e-5)


def test_all_labels_that_are_answered_stand_in_one_cell() -> None:
    task = made("multilabel", spec("labels", 2, Field((2,), "float32", labels=("a", "b"))))
    table = task.decode(torch.tensor([[0.9, 0.5], [0.2, 0.1]]))
    assert table["label"].tolist() == ["a; b", "(none)"]
    assert table["p_b"].tolist() == pytest.approx([0.5, 0.1])


def test_a_label_that_train_never_has_is_never_answered() -> None:
    """Of the methods for each label, none is fitted to a single class."""
    numbers = np.random.default_rng(0).normal(size=(40, 2))
    target = np.stack([numbers[:, 0] > 0, np.zeros(40)], 1).astype(np.float32)
    samples = LabelledSamples({"numbers": numbers}, list(range(40)), {"target": target})  # type: ignore[arg-type]
    two = spec("labels", 2, Field((2,), "float32", labels=("a", "b")))
    answered = predict_each(fit_each(Logistic, samples, samples, two), samples)
    assert answered[:, 1].tolist() == [0.0] * 40
    assert ((answered[:, 0] > 0.5) == (target[:, 0] > 0)).mean() > 0.9

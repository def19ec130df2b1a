"""Boosting for tables: its columns are those of the file, with their categories and their gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_tables import table
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, mean_pinball_loss, mean_squared_error

from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.baseline.boosting import SMALLEST_LEAVES, Boosting, columns_as_they_are
from goodfit.baseline.logistic import Logistic
from goodfit.contract import DataSpec, Field
from goodfit.data.split import SPLITS
from goodfit.store.manifest import RAW_ROW
from goodfit.store.mapped import read_arrays
from goodfit.store.prepare import prepare

OPTIONS: dict[str, Any] = {"lr": 0.1, "trees": 60, "leaves": 15, "quantiles": None}
TOWNS = np.array(["Ulm", "Bonn", "Kiel", ""])


def cells(rows: int = 600) -> pd.DataFrame:
    """A table whose target is an interaction; a tenth of the sizes and a quarter of towns lack."""
    rng = np.random.default_rng(0)
    size, age = rng.normal(100, 20, rows).round(2), rng.normal(40, 9, rows).round(2)
    town = TOWNS[rng.integers(0, 4, rows)]
    # neither input alone says anything: the classes lie like the fields of a chess board
    label = np.where((size > 100) ^ (age > 40), "yes", "no")
    price = np.where((town == "Bonn") == (size > 100), 900.0, 100.0) + rng.normal(0, 5, rows)
    frame = pd.DataFrame({"size": size, "age": age, "town": town, "y": label})
    frame["price"] = price.round()  # whole numbers: targets are stored as float32
    frame["size"] = frame["size"].mask(rng.random(rows) < 0.1)
    return frame


def split_of(folder: Path, split: str, spec: DataSpec) -> LabelledSamples:
    rows = pd.read_parquet(folder / split / "rows.parquet")
    inputs = read_arrays(folder / split, spec.inputs)
    return LabelledSamples(inputs, rows, read_arrays(folder / split, spec.targets))


def prepared(tmp_path: Path, frame: pd.DataFrame, **options: Any) -> tuple[DataSpec, list[Any]]:
    """The splits of a table that was written as CSV, as `evaluate` reads them."""
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = table(**options)
    prepare(data, {"table": tmp_path / "t.csv"}, tmp_path / "out", made_with={})
    spec = DataSpec.read(tmp_path / "out/spec.json")
    return spec, [split_of(tmp_path / "out", split, spec) for split in SPLITS]


def answers(method: Baseline, spec: DataSpec, splits: list[Any]) -> np.ndarray[Any, Any]:
    train, validation, test = splits
    method.fit(train, validation, spec)
    return method.predict(Samples(test.inputs, test.rows))


def by_hand(frame: pd.DataFrame, splits: list[Any], kind: str, label: str) -> Any:
    """What scikit-learn gives on the file's own columns, split as the samples are."""
    x = frame.drop(columns=["y", "price"])
    known = sorted(set(frame["town"]) - {""})
    x["town"] = pd.Categorical(frame["town"].replace("", np.nan), known)
    rows = [split.rows[RAW_ROW] for split in splits]
    parts = [(x.loc[index], frame.loc[index, label]) for index in rows]
    model_class = (
        HistGradientBoostingClassifier if kind == "class" else HistGradientBoostingRegressor
    )
    models = []
    for smallest in SMALLEST_LEAVES:
        model = model_class(
            learning_rate=OPTIONS["lr"],
            max_iter=OPTIONS["trees"],
            max_leaf_nodes=OPTIONS["leaves"],
            min_samples_leaf=smallest,
            categorical_features="from_dtype",
            early_stopping=True,
            n_iter_no_change=30,
            random_state=0,
        )
        model.fit(*parts[0], X_val=parts[1][0], y_val=parts[1][1])
        models.append(model)

    held_out, truth = parts[1]
    if kind == "class":
        losses = [log_loss(truth, model.predict_proba(held_out)) for model in models]
        return models[int(np.argmin(losses))].predict_proba(parts[2][0])
    losses = [mean_squared_error(truth, model.predict(held_out)) for model in models]
    return models[int(np.argmin(losses))].predict(parts[2][0])


@pytest.mark.slow
@pytest.mark.fault(63)
@pytest.mark.parametrize(
    ("kind", "label", "other"), [("class", "y", "price"), ("number", "price", "y")]
)
def test_it_sees_the_columns_of_the_file(tmp_path: Path, kind: str, label: str, other: str) -> None:
    frame = cells()
    spec, splits = prepared(tmp_path, frame.drop(columns=other), kind=kind, label=label)
    ours = answers(Boosting(**OPTIONS), spec, splits)
    np.testing.assert_allclose(ours, by_hand(frame, splits, kind, label), rtol=1e-6)


@pytest.mark.fault(62)
def test_where_classes_are_an_interaction_boosting_finds_it_and_a_line_does_not(
    tmp_path: Path,
) -> None:
    frame = cells().drop(columns="price")
    spec, splits = prepared(tmp_path, frame)
    truth = splits[2].targets["target"]
    right = {}
    for method in (Logistic(), Boosting(**OPTIONS)):
        right[method.title] = (answers(method, spec, splits).argmax(1) == truth).mean()
    assert right["logistic regression"] < 0.65
    assert right["gradient boosting"] > 0.85


FACTS = {
    "size": {"kind": "number"},
    "is_new": {"kind": "boolean"},
    "town": {"kind": "category", "categories": ["", "Bonn", "Ulm"]},
    "sold": {"kind": "date", "with_time": True},
}


@pytest.mark.fault(63)
def test_what_is_missing_or_new_is_nan_and_a_category_its_number() -> None:
    rows = pd.DataFrame(
        {
            "size": [1.5, np.nan, 2.5],
            "is_new": [1.0, 0.0, np.nan],
            "town": ["Ulm", "", "Rome"],
            "sold": pd.to_datetime(["1970-01-02 06:00", None, "1971-01-01 00:00"]),
        }
    )
    expected = [
        [1.5, 1, 1, 1.25, 2, 4, 6],  # 2 January 1970 was a Friday
        [np.nan, 0, np.nan, np.nan, np.nan, np.nan, np.nan],
        [2.5, np.nan, np.nan, 365, 1, 4, 0],
    ]
    np.testing.assert_array_equal(columns_as_they_are(rows, FACTS), expected)


def test_a_date_among_the_columns_moves_no_category(tmp_path: Path) -> None:
    """The columns behind a date are told as categories by their own places."""
    frame = cells().drop(columns=["price", "size"])
    frame.insert(0, "sold", pd.date_range("2024-01-01", periods=len(frame)).strftime("%Y-%m-%d"))
    spec, splits = prepared(tmp_path, frame)
    assert spec.facts["columns"]["sold"]["kind"] == "date"
    method = Boosting(**OPTIONS)
    answers(method, spec, splits)
    assert method._models[0].is_categorical_.tolist() == [False] * 5 + [True]


def spec_of(classes: int) -> DataSpec:
    """Of a data set that tells nothing of columns."""
    labels = tuple(map(str, range(classes)))
    targets = {"target": Field((), "int64", labels=labels)}
    return DataSpec(data="x", kind="class", outputs=classes, inputs={}, targets=targets)


def test_numbers_alone_are_used_where_the_data_set_tells_nothing_of_columns() -> None:
    rng = np.random.default_rng(0)
    spec = spec_of(2)

    def clouds() -> LabelledSamples:
        target = np.arange(80) % 2
        points = rng.normal(size=(80, 3)) + 6 * target[:, None]
        return LabelledSamples(
            {"numbers": points}, pd.DataFrame(index=range(80)), {"target": target}
        )

    test = clouds()
    prediction = answers(Boosting(**OPTIONS), spec, [clouds(), clouds(), test])
    assert (prediction.argmax(1) == test.targets["target"]).all()


def test_rounds_are_fewer_where_each_is_a_tree_for_each_of_many_classes() -> None:
    many, few = spec_of(1000), spec_of(2)
    method = Boosting(lr=0.1, trees=400, leaves=31, quantiles=None)
    method._is_class = True
    assert method._ensemble(many, 5, [], None).max_iter == 4
    assert method._ensemble(few, 5, [], None).max_iter == 400


def fans(rows: int, seed: int) -> LabelledSamples:
    """Numbers whose spread grows with x, so that their quantiles lie like the ribs of a fan."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (rows, 1))
    target = x[:, 0] * rng.normal(size=rows)
    return LabelledSamples({"numbers": x}, pd.DataFrame(index=range(rows)), {"target": target})


@pytest.mark.slow
def test_quantiles_are_learned_each_by_its_own_loss() -> None:
    levels = [0.1, 0.5, 0.9]
    targets = {"target": Field((), "float32")}
    number = DataSpec(data="x", kind="number", outputs=1, inputs={}, targets=targets)
    train, validation, test = fans(2000, 0), fans(500, 1), fans(2000, 2)
    options = OPTIONS | {"quantiles": levels}
    found = answers(Boosting(**options), number, [train, validation, test])
    assert found.shape == (2000, 3)
    assert (np.diff(found, axis=1) >= 0).all()

    truth, x = test.targets["target"], test.inputs["numbers"][:, 0]
    shares = (truth[:, None] < found).mean(0)
    np.testing.assert_allclose(shares, levels, atol=0.04)
    # a standard deviation is x: where it is small the quantiles are close, and they are not alike
    np.testing.assert_allclose(found[x > 0.8].mean(0), 0.9 * np.array([-1.28, 0, 1.28]), atol=0.15)
    np.testing.assert_allclose(found[x < 0.2].mean(0), 0.1 * np.array([-1.28, 0, 1.28]), atol=0.05)

    point = answers(Boosting(**OPTIONS), number, [train, validation, test])
    errors = validation.targets["target"] - point_of(validation, train, number)
    for place, level in enumerate(levels[::2]):
        spread = point + np.quantile(errors, level)
        ours = mean_pinball_loss(truth, found[:, 2 * place], alpha=level)
        assert ours < 0.9 * mean_pinball_loss(truth, spread, alpha=level)


def point_of(asked: LabelledSamples, train: LabelledSamples, spec: DataSpec) -> Any:
    """What boosting without quantiles answers."""
    return answers(Boosting(**OPTIONS), spec, [train, asked, asked])

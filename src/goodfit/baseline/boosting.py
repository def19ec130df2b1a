"""Gradient boosting on the columns of a table as they are: what is hard to beat there.

Letters: `base.py`, and Q quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import (
    log_loss,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.trees import grow
from goodfit.contract import DataSpec
from goodfit.schema import Count, LevelsOrNone, Rate

# samples of a leaf at the least: the default alone, 20, cannot divide a table of 30 rows
SMALLEST_LEAVES = (5, 20)
# each round adds a tree for each class: 400 rounds of 1,000 classes would take hours
MOST_TREES = 4000


class Boosting(Baseline):
    """Categories and missing values are not encoded: trees divide them by themselves.

    Validation decides when to stop adding trees, and how small a leaf may be. Where the data set
    tells nothing of columns (`facts["columns"]`), its numbers are used. Where `quantiles` are asked
    for, each has an ensemble of its own that minimizes the pinball loss.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "ordered", "number", "count")
    inputs: ClassVar[tuple[str, ...]] = ("numbers",)
    title = "gradient boosting"
    weighs = True

    def __init__(self, *, lr: Rate, trees: Count, leaves: Count, quantiles: LevelsOrNone) -> None:
        self.lr, self.trees, self.leaves = lr, trees, leaves
        self.quantiles = list(quantiles or [])

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The better ensemble of each size of leaf, on columns (N, F), with its seed fixed at 0."""
        self._columns: Mapping[str, Any] = spec.facts.get("columns", {})
        self._is_class, self._is_count = spec.kind in ("class", "ordered"), spec.kind == "count"
        is_category: list[bool] = []
        for column in self._columns.values():
            is_category += [column["kind"] == "category"] * (4 if column["kind"] == "date" else 1)
        x, y = self._table(train), train.targets["target"]
        held_out, truth = self._table(validation), validation.targets["target"]
        is_category += [False] * (x.shape[1] - len(is_category))

        self._models = []
        asked: list[float | None] = [*self.quantiles] or [None]
        for quantile in asked:
            models, losses = [], []
            for smallest in SMALLEST_LEAVES:
                model = self._ensemble(spec, smallest, is_category, quantile)
                grow(model, x, y, held_out, truth, (train.sample_weight, validation.sample_weight))
                models.append(model)
                error = self._loss(model, held_out, truth, validation.sample_weight, quantile)
                losses.append(error)
            self._models.append(models[int(np.argmin(losses))])

    def predict(self, samples: Samples) -> Array:
        """Probabilities (N, K), or numbers in the unit of the target, (N,), expected counts too.

        Of quantiles (N, Q), which rise: two ensembles may give them the other way round.
        """
        x = self._table(samples)
        if self.quantiles:
            return np.sort(np.stack([model.predict(x) for model in self._models], 1), 1)
        (model,) = self._models
        values: Array = model.predict_proba(x) if self._is_class else model.predict(x)
        return values

    def _table(self, samples: Samples) -> Array:
        if not self._columns:
            numbers: Array = samples.inputs["numbers"]
            return numbers.reshape(len(samples), -1)
        return columns_as_they_are(samples.rows, self._columns)

    def _ensemble(
        self, spec: DataSpec, smallest: int, is_category: list[bool], quantile: float | None
    ) -> Any:
        rounds = self.trees
        if self._is_class and spec.outputs > 2:
            rounds = min(rounds, max(1, MOST_TREES // spec.outputs))
        kind: Any = HistGradientBoostingClassifier
        if not self._is_class:
            loss = "poisson" if self._is_count else "squared_error"
            loss = loss if quantile is None else "quantile"
            kind = partial(HistGradientBoostingRegressor, loss=loss, quantile=quantile)
        return kind(
            learning_rate=self.lr,
            max_iter=rounds,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=smallest,
            categorical_features=is_category,
            early_stopping=True,
            n_iter_no_change=30,
            random_state=0,
        )

    def _loss(
        self, model: Any, x: Array, y: Array, weight: Array | None, quantile: float | None
    ) -> float:
        if quantile is not None:
            predicted = model.predict(x)
            return float(mean_pinball_loss(y, predicted, sample_weight=weight, alpha=quantile))
        if not self._is_class:
            error = mean_poisson_deviance if self._is_count else mean_squared_error
            return float(error(y, model.predict(x), sample_weight=weight))
        # validation may lack a class: the labels are those of train
        probabilities = model.predict_proba(x)
        return float(log_loss(y, probabilities, sample_weight=weight, labels=model.classes_))


def columns_as_they_are(rows: pd.DataFrame, columns: Mapping[str, Any]) -> Array:
    """The columns (N, F) of a table: NaN for what is missing, or a category that train never had.

    A category is its number; a date has four columns, for its day alone says nothing of the season.
    `columns` holds what the data set says of each by its name.
    """
    parts: list[Array] = []
    for name, facts in columns.items():
        if facts["kind"] == "category":
            known = [category for category in facts["categories"] if category != ""]
            codes = pd.Index(known).get_indexer(rows[name]).astype(float)
            parts.append(np.where(codes < 0, np.nan, codes))
        elif facts["kind"] == "date":
            parts += _parts_of(rows[name])
        else:
            parts.append(rows[name].to_numpy(float, na_value=np.nan))
    return np.stack(parts, 1)


def _parts_of(dates: pd.Series[Any]) -> list[Array]:
    """Days since 1970, and of each the day of the year, of the week, and the hour: (N,) each."""
    calendar = dates.dt
    parts = [(dates - pd.Timestamp(0)) / pd.Timedelta(days=1), calendar.day_of_year]
    parts += [calendar.day_of_week, calendar.hour]
    return [part.to_numpy(float, na_value=np.nan) for part in parts]

"""A method for one target, fitted to each of several.

Letters: `base.py`; here K are the targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec, Field

SEVERAL = ("labels", "numbers")  # kinds of several targets
Fitted = Baseline | float  # a number is answered for all: a label that train never or always has


def fit_each(
    make: Callable[[], Baseline],
    train: LabelledSamples,
    validation: LabelledSamples,
    spec: DataSpec,
) -> list[Fitted]:
    """A method for each column of the targets (N, K), which chooses on its column of validation."""
    fitted: list[Fitted] = []
    for column in range(train.targets["target"].shape[1]):
        own, held_out = _column(train, spec, column), _column(validation, spec, column)
        target = own.targets["target"]
        if len(np.unique(target)) == 1:
            fitted.append(float(target[0]))
            continue
        method = make()
        method.fit(own, held_out, _single(spec))
        fitted.append(method)
    return fitted


def predict_each(fitted: list[Fitted], samples: Samples) -> Array:
    """The probability that each label holds, or each number: (N, K)."""
    columns: list[Array] = []
    for method in fitted:
        if isinstance(method, float):
            columns.append(np.full(len(samples), method))
            continue
        values = method.predict(samples)
        columns.append(values[:, 1] if values.ndim == 2 else values)
    return np.stack(columns, 1)


def _column(samples: LabelledSamples, spec: DataSpec, column: int) -> LabelledSamples:
    values = samples.targets["target"][:, column]
    values = values.astype(np.int64) if spec.labels else values
    return LabelledSamples(samples.inputs, samples.rows, {**samples.targets, "target": values})


def _single(spec: DataSpec) -> DataSpec:
    """The description of one of the targets alone."""
    if spec.labels:
        field = Field((), "int64", labels=("no", "yes"))
        return replace(spec, kind="class", outputs=2, targets={"target": field})
    return replace(spec, kind="number", outputs=1, targets={"target": Field((), "float32")})

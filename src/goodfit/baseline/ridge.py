"""Ridge regression on standardised numbers (Hoerl and Kennard 1970)."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from goodfit.baseline.base import Array, Baseline, Split
from goodfit.contract import DataSpec

PENALTIES = (0.1, 1.0, 10.0, 100.0)


class RidgeRegression(Baseline):
    """The penalty is the one with the least squared error on validation."""

    kinds = ("number",)
    inputs = ("numbers",)
    title = "ridge regression"

    def predict(self, train: Split, validation: Split, test: Split, spec: DataSpec) -> Array:
        """Numbers in the unit of the target, (B,)."""
        models = [Ridge(alpha=penalty).fit(train.inputs["numbers"], train.target) for penalty in PENALTIES]
        errors = [np.square(m.predict(validation.inputs["numbers"]) - validation.target).mean() for m in models]
        values: Array = models[int(np.argmin(errors))].predict(test.inputs["numbers"])
        return values

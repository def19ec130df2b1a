"""Linear models on all inputs side by side: codes and numbers, words, gradients of images.

Letters: `base.py`, and F features of a sample.
"""

from __future__ import annotations

from typing import Any

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.each import SEVERAL, Fitted, fit_each, predict_each
from goodfit.baseline.logistic import best_logistic
from goodfit.baseline.poisson import best_poisson
from goodfit.baseline.ridge import best_ridge
from goodfit.baseline.side_by_side import SideBySide, joined
from goodfit.contract import DataSpec


class JointLinear(Baseline):
    """Logistic, ridge or Poisson regression, by the target; one for each of several targets.

    The penalty is the one with the least loss on validation.
    """

    kinds = ("class", "ordered", "number", "count", "labels", "numbers")
    inputs = ("numbers", "tokens", "image")
    title = "linear on all inputs"
    weighs = True

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Words, components and models are those of train."""
        self._each: list[Fitted] = []
        if spec.kind in SEVERAL:
            self._each = fit_each(JointLinear, train, validation, spec)
            return
        self._spec = spec
        self._others = SideBySide(train, spec, dense=False)
        known = self._features(train), train.targets["target"]
        held_out = self._features(validation), validation.targets["target"]
        best: dict[str, Any] = {"number": best_ridge, "count": best_poisson}
        weights = train.sample_weight, validation.sample_weight
        self._model = best.get(spec.kind, best_logistic)(*known, *held_out, weights=weights)

    def predict(self, samples: Samples) -> Array:
        """Probabilities (N, K), or numbers in the unit of the target, (N,) or (N, K)."""
        if self._each:
            return predict_each(self._each, samples)
        x = self._features(samples)
        is_number = self._spec.kind in ("number", "count")
        values: Array = self._model.predict(x) if is_number else self._model.predict_proba(x)
        return values

    def _features(self, samples: Samples) -> Any:
        numbers = [samples.inputs["numbers"]] if "numbers" in self._spec.inputs else []
        return joined([*numbers, *self._others.parts(samples)])

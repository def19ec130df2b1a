"""Numbers of a table that are measured a little otherwise. Letters: B batch, F numbers of a row."""

from __future__ import annotations

import math

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.schema import Amount


class Noise(Augment):
    """Gaussian noise of `deviation` on each number, in deviations of train.

    Of a linear model, it is what a penalty on the squares of the weights is (Bishop 1995).
    """

    inputs = ("numbers",)

    def __init__(self, *, deviation: Amount) -> None:
        self.deviation = deviation

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Numbers (B, F) of float32, standardized."""
        values = batch.inputs["numbers"]
        radius, angle = numbers(2, values.shape[1]).unbind(1)
        # Box and Muller 1958; 1 - u is never 0
        normal = (-2 * (1 - radius).log()).sqrt() * (2 * math.pi * angle).cos()
        noisy = values + self.deviation * normal
        return batch._replace(inputs={**batch.inputs, "numbers": noisy})

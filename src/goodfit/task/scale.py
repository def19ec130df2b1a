"""What a network learns of a number, and the number again: standard scores, straight or bent.

Letters: B batch, N samples of train.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from goodfit.contract import Field
from goodfit.task.base import Array

Transform = Literal["none", "log", "yeojohnson"]
_LEAST_POWER = 1e-4  # nearer to 0, powers are the logarithm, and divide by nothing
_OF_THE_WAY = 0.9  # to where a power has no inverse: so far a score may go


class Scale(nn.Module):
    """Standard scores of numbers, or of their logarithm or power (Yeo and Johnson 2000).

    The power is the likeliest of train, of numbers in units of their deviation, so it does not
    depend on the unit. Scores that are further outside of those of train than these are wide are
    taken as no further: bent back, they would be numbers beyond all reason.
    """

    fitted: Tensor

    def __init__(self, transform: Transform, field: Field) -> None:
        super().__init__()
        self.transform = transform
        self.mean, self.std = field.mean[0], field.std[0]
        if transform != "none":
            # power, mean and deviation of what is bent, and the scores to stop at
            self.register_buffer("fitted", torch.tensor([1.0, 0.0, 1.0, -10.0, 10.0]))

    def learn(self, train: Array) -> None:
        """Power, mean, deviation and limits, of numbers (N,) of train."""
        if self.transform == "none":
            return
        numbers = torch.tensor(np.asarray(train, np.float64))
        power = self._likeliest(numbers) if self.transform == "yeojohnson" else 1.0
        # in float32 from here on, as it is kept: both ways take the same
        self.fitted = torch.tensor([power, 0.0, 1.0, 0.0, 0.0])
        bent = self._bend(numbers)
        mean, std = float(bent.mean()), float(bent.std(correction=0)) or 1.0
        low, high = self._limits(float(bent.min()), float(bent.max()))
        self.fitted = torch.tensor([power, mean, std, (low - mean) / std, (high - mean) / std])

    def scores(self, numbers: Tensor) -> Tensor:
        """Standard scores (B, ...) of numbers (B, ...); without a logarithm, the lowest one."""
        if self.transform == "none":
            return (numbers - self.mean) / self.std
        _, mean, std, low, _ = self._wide(self.fitted.to(numbers.device))
        scores: Tensor = (self._bend(self._wide(numbers)) - mean) / std
        # a baseline may answer such a number, the network never does
        return torch.where(scores.isfinite(), scores, low).float()

    def numbers(self, scores: Tensor) -> Tensor:
        """The inverse of `scores`, (B, ...), in float32."""
        if self.transform == "none":
            return scores.float() * self.std + self.mean
        power, mean, std, low, high = self._wide(self.fitted.to(scores.device))
        bent = self._wide(scores).clamp(low, high) * std + mean
        if self.transform == "log":
            return torch.exp(bent).float()
        straight = torch.where(
            bent >= 0, _root(bent.clamp_min(0), power), -_root(-bent.clamp_max(0), 2 - power)
        )
        result: Tensor = straight * self.std
        return result.float()

    def _bend(self, numbers: Tensor) -> Tensor:
        if self.transform == "log":
            return numbers.log()
        power = self._wide(self.fitted.to(numbers.device))[0]
        parts = numbers / self.std
        return torch.where(
            parts >= 0, _power(parts.clamp_min(0), power), -_power(-parts.clamp_max(0), 2 - power)
        )

    def _likeliest(self, numbers: Tensor) -> float:
        from scipy.stats import yeojohnson_normmax  # 0.5 s

        power = float(yeojohnson_normmax((numbers / self.std).numpy()))
        for singular in (0.0, 2.0):
            if abs(power - singular) < _LEAST_POWER:
                power = singular + _LEAST_POWER
        return power

    def _limits(self, least: float, most: float) -> tuple[float, float]:
        """How far outside of what is bent of train a network may go."""
        width = most - least
        low, high = least - width, most + width
        power = float(self.fitted[0])
        if self.transform == "yeojohnson" and power < 0:
            high = min(high, most + _OF_THE_WAY * (-1 / power - most))
        if self.transform == "yeojohnson" and power > 2:
            low = max(low, least + _OF_THE_WAY * (1 / (2 - power) - least))
        return low, high

    @staticmethod
    def _wide(values: Tensor) -> Tensor:
        # in float32 a large number would come back with other digits; MPS has no float64
        return values.float() if values.device.type == "mps" else values.double()


def _power(distance: Tensor, power: Tensor) -> Tensor:
    """((1 + x)^p - 1) / p, (B,), of x (B,), none negative."""
    return torch.expm1(power * torch.log1p(distance)) / power


def _root(bent: Tensor, power: Tensor) -> Tensor:
    """The inverse of `_power`, (B,)."""
    return torch.expm1(torch.log1p(power * bent) / power)

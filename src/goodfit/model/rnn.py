"""Recurrent network for series with a daily or other period.

Letters: B batch, P past periods, S steps of a period, F facts of a period, T steps ahead,
L lags of a step ahead, K known numbers of a step ahead, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.schema import Amount, Count, Fraction


class RNN(nn.Module):
    """The sum of a reference forecast and a correction by an encoder and a decoder.

    A GRU (Cho et al. 2014) reads the past a period at a time: 14 steps of a day instead of 672 of
    half an hour. Its last state starts a second one, which reads in both directions what is known
    of each step ahead. The correction starts at zero, so training starts from the reference.
    """

    def __init__(
        self, spec: DataSpec, *, width: Count, context: Count, dropout: Fraction, noise: Amount
    ) -> None:
        super().__init__()
        periods, steps = spec.inputs["past"].fixed_shape
        _, facts = spec.inputs["days"].fixed_shape
        _, lags = spec.inputs["lags"].fixed_shape
        _, known = spec.inputs["known"].fixed_shape
        self.width = width
        self.noise = noise
        self.week = min(7, periods)
        (self.mean,), (self.std,) = spec.targets["target"].mean, spec.targets["target"].std

        self.embed = nn.Linear(steps + facts, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.start = nn.Linear(width, 2 * width)
        self.context = nn.Linear(width, context)
        self.decoder = nn.GRU(lags + known + context, width, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(
            nn.Linear(2 * width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 1)
        )
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head[-1].bias)  # type: ignore[arg-type]

    def forward(self, past: Tensor, days: Tensor, lags: Tensor, known: Tensor) -> Tensor:
        """past (B, P, S), days (B, P, F), lags (B, T, L), known (B, T, K) to (B, T).

        Past and lags come in the target's unit, the output is in standard deviations from its mean
        in train. The first of the lags is the reference.
        """
        # relative to the mean of the last week, so that one network serves a cold winter and a mild
        # spring
        level = past[:, -self.week :].mean((1, 2), keepdim=True)  # (B, 1, 1)
        past = (past - level) / self.std
        lags = (lags - level) / self.std

        state = self._encode(torch.cat([past, days], -1))
        correction = self._decode(state, torch.cat([lags, known], -1))
        reference = lags[..., 0]
        return reference + correction + (level.squeeze(-1) - self.mean) / self.std

    def _encode(self, periods: Tensor) -> Tensor:
        """(B, P, S + F) to the state behind the last period, (B, D)."""
        if self.training:
            periods = periods + self.noise * torch.randn_like(periods)
        _, state = self.encoder(self.dropout(F.gelu(self.embed(periods))))
        last: Tensor = self.dropout(state[0])
        return last

    def _decode(self, state: Tensor, steps: Tensor) -> Tensor:
        """A state (B, D) and steps ahead (B, T, L + K) to the correction (B, T)."""
        both_ways = torch.tanh(self.start(state)).view(-1, 2, self.width)
        initial = both_ways.transpose(0, 1).contiguous()  # (2, B, D), as a GRU takes it
        context = self.context(state)[:, None].expand(-1, steps.shape[1], -1)
        decoded, _ = self.decoder(torch.cat([steps, context], -1), initial)
        correction: Tensor = self.head(self.dropout(decoded)).squeeze(-1)
        return correction

"""Recurrent network for series.

Letters: B batch, P past periods, S steps of a period, T steps ahead, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.schema import Amount, Count, Fraction


class RNN(nn.Module):
    """An encoder over past periods, a decoder over the steps ahead, and a reference that they
    correct.

    One GRU (Cho et al. 2014) reads the past a period at a time: 14 steps of a day instead of 672 of
    half an hour. Its last state starts a second one, which reads in both directions what is known
    of each step ahead. The output is the reference plus a correction that starts at zero.
    """

    def __init__(
        self, spec: DataSpec, *, width: Count, context: Count, dropout: Fraction, noise: Amount
    ) -> None:
        super().__init__()
        (periods, steps), (_, facts) = spec.inputs["past"].shape, spec.inputs["days"].shape
        (_, lags), (_, known) = spec.inputs["lags"].shape, spec.inputs["known"].shape
        self.width, self.noise, self.week = width, noise, min(7, periods)
        self.mean, self.std = spec.target.mean, spec.target.std
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
        """past (B, P, S), days (B, P, C), lags (B, T, L), known (B, T, K) to standard scores (B,
        T).

        The first of the lags is the reference. Values are taken relative to the mean of the last
        week, so the same network serves a cold winter and a mild spring.
        """
        level = past[:, -self.week :].mean((1, 2), keepdim=True)
        past, lags = (past - level) / self.std, (lags - level) / self.std
        seen = torch.cat([past, days], -1)
        if self.training:
            seen = seen + self.noise * torch.randn_like(seen)
        _, state = self.encoder(self.dropout(F.gelu(self.embed(seen))))
        state = self.dropout(state[0])  # (B, D)
        both = torch.tanh(self.start(state)).view(-1, 2, self.width).transpose(0, 1).contiguous()
        context = self.context(state)[:, None].expand(-1, lags.shape[1], -1)
        decoded, _ = self.decoder(torch.cat([lags, known, context], -1), both)
        correction: Tensor = self.head(self.dropout(decoded)).squeeze(-1)
        return lags[..., 0] + correction + (level.squeeze(-1) - self.mean) / self.std

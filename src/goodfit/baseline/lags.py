"""What baselines for series share: what is known of each step ahead, as columns of a table.

Letters: `base.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from goodfit.baseline.base import Array, Samples


def features(samples: Samples) -> Array:
    """One row for each sample and step ahead, (NT, F).

    It holds the value at the same step of each past period, the lags, what is known of the step,
    values of the last period and the last seven, and the number of the step. A horizon that is
    longer than a period goes through it again.
    """
    past = samples.inputs["past"]  # (N, P, S)
    lags, known = samples.inputs["lags"], samples.inputs["known"]  # (N, T, F) each
    count, steps = lags.shape[:2]

    same_step = past[:, :, np.arange(steps) % past.shape[2]].transpose(0, 2, 1)  # (N, T, P)
    summary = [
        past.reshape(count, -1)[:, -4:],  # the last four steps
        past[:, -1:].mean(2),
        past[:, -1:].max(2),
        past[:, -7:].mean((1, 2))[:, None],
    ]
    shared = np.repeat(np.concatenate(summary, 1)[:, None], steps, 1)
    step = np.tile(np.arange(steps)[None, :, None], (count, 1, 1))
    columns = np.concatenate([same_step, lags, known, shared, step], 2)
    return columns.reshape(count * steps, -1)


def relative(samples: Samples) -> tuple[Samples, Array]:
    """The samples with past and lags relative to the mean of the last seven periods, and it (N, 1).

    Trees answer with what they have seen: of a series that has grown since, not high enough.
    """
    past, lags = samples.inputs["past"], samples.inputs["lags"]
    level = past[:, -7:].mean((1, 2))[:, None]
    shifted = {"past": past - level[:, :, None], "lags": lags - level[:, :, None]}
    return replace(samples, inputs={**samples.inputs, **shifted}), level

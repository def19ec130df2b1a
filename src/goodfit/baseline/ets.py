"""Exponential smoothing, chosen automatically: what a statistician would try first on each series.

Letters: `base.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.contract import DataSpec
from goodfit.schema import Count
from goodfit.system.extras import needs

Forms = Sequence[Mapping[str, Any]]
LONGEST_SEASON = 24  # steps; of longer ones, the states are too many to estimate (Hyndman 2010)
# a level alone, with a trend that fades, with one that does not; each with a season or without
_FORMS: tuple[dict[str, Any], ...] = ({}, {"trend": "add", "damped_trend": True}, {"trend": "add"})


class ETS(Baseline):
    """Additive exponential smoothing whose form has the least AICc (Hyndman et al. 2002).

    The past of each sample is a series of its own: nothing is learned from others, or from train.
    A season that is longer than 24 steps is taken out before, by Loess (STL, Cleveland et al.
    1990), and put back behind, as R's `stlm` does. Validation chooses one of the seasons, and
    whether a trend that does not fade may be chosen: over a long horizon it often goes too far.
    """

    kinds = ("series",)
    inputs = ("past",)
    title = "exponential smoothing (AutoETS)"

    def __init__(self, *, samples: Count) -> None:
        self.samples = samples

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Of the season of the data, that of a period and none, the best on validation (N, T).

        `samples` of it tell: each is a fit by itself.
        """
        past, target = _flat(validation), validation.targets["target"]
        some = np.linspace(0, len(past) - 1, min(len(past), self.samples)).astype(int)
        self._horizon = spec.outputs
        seasons = {1, int(spec.facts["season"]), spec.inputs["past"].fixed_shape[-1]}
        # two whole seasons, at least, tell what repeats itself
        fitting = sorted(season for season in seasons if 2 * season < past.shape[1])
        choices = [(season, forms) for season in fitting for forms in (_FORMS[:2], _FORMS)]
        errors = [
            np.abs(_forecasts(past[some], *choice, self._horizon) - target[some]).mean()
            for choice in choices
        ]
        self._season, self._forms = choices[int(np.argmin(errors))]

    def predict(self, samples: Samples) -> Array:
        """Values in the unit of the series, (N, T)."""
        return _forecasts(_flat(samples), self._season, self._forms, self._horizon)


def _flat(samples: Samples) -> Array:
    """The pasts (N, C) in the order of time."""
    past: Array = samples.inputs["past"]
    return past.reshape(len(past), -1).astype(float)


def _forecasts(past: Array, season: int, forms: Forms, horizon: int) -> Array:
    """The next values (N, T) of pasts (N, C)."""
    forecasts = [forecast(series, season, forms, horizon) for series in past]
    return np.array(forecasts).reshape(len(past), horizon)


def forecast(series: Array, season: int, forms: Forms, horizon: int) -> Array:
    """The next values (T,) of a series (C,)."""
    if np.ptp(series) == 0:
        return np.full(horizon, series[-1])
    # the optimizer's bounds are of values near 1
    centre, spread = series.mean(), series.std()
    scaled = (series - centre) / spread
    if season <= LONGEST_SEASON:
        ahead = _smoothed(scaled, season, forms, horizon)
    else:
        with needs("series"):
            from statsmodels.tsa.seasonal import STL
        repeated = np.asarray(STL(scaled, period=season, robust=True).fit().seasonal)
        phase = np.arange(horizon) % season - season
        ahead = _smoothed(scaled - repeated, 1, forms, horizon) + repeated[phase]
    return np.asarray(ahead * spread + centre)


def _smoothed(series: Array, season: int, forms: Forms, horizon: int) -> Array:
    """The forecast (T,) of the form with the least AICc, of those that can be fitted."""
    with needs("series"):
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    seasonal: dict[str, Any] = {"seasonal": "add", "seasonal_periods": season}
    best, least = np.full(horizon, series[-1]), np.inf
    for form in forms:
        for repeated in ({}, seasonal) if season > 1 else ({},):
            with warnings.catch_warnings():
                # a form that does not converge loses by its AICc
                warnings.simplefilter("ignore")
                model = ETSModel(
                    series, error="add", initialization_method="heuristic", **form, **repeated
                )
                fitted = model.fit(disp=False)
                ahead = np.asarray(fitted.forecast(horizon))
            if fitted.aicc < least and np.isfinite(ahead).all():
                best, least = ahead, fitted.aicc
    return best

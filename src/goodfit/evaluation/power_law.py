"""How an error falls with the number of samples: a power law, and where it leads, with intervals.

An error is how far a score is from the best that it can be; e(n) = a + b n^-c, where a is what no
data would remove (Cortes, Jackel, Solla, Vapnik and Denker 1994; Viering and Loog 2023 review this
and other forms).
Docs: docs/decisions/0045-learning-curves.md.

Letters: K sizes, S seeds, R resampled sets, G exponents that are tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from goodfit.evaluation.bootstrap import LEVEL, unseen
from goodfit.records.interval import Interval

Array = np.ndarray[Any, Any]
PARAMETERS = 3
# exponents: of deep networks 0.07 to 0.35 were measured (Hestness et al. 2017), theory has 0.5 and
# 1; what falls faster than by 2 is the end of a curve of another form
_EXPONENTS = np.geomspace(0.02, 2.0, 120)
# so unlikely are residuals that are not taken for chance any more
_UNLIKELY = 0.05
_ALIKE = 0.95  # the largest correlation: of 1 the covariance has no inverse
_FACTORS = (0.25, 4.0)  # by which a variance is corrected at the most
_NORMAL = 1.96  # standard deviations to the end of a 95 % interval


@dataclass(frozen=True)
class Measured:
    """Mean errors (K,) of S seeds at `sizes` (K,), rising, with their covariance (K, K).

    The covariance counts samples and seeds; `freedom` are its degrees of freedom, and those of how
    sizes differ, where what is alike at all sizes cancels. No error is below `least`, which is -inf
    where none is known.
    """

    sizes: Array
    errors: Array
    covariance: Array
    freedom: tuple[float, float]
    least: float

    def first(self, count: int) -> Measured:
        """The `count` smallest sizes alone."""
        return Measured(
            self.sizes[:count],
            self.errors[:count],
            self.covariance[:count, :count],
            self.freedom,
            self.least,
        )


def measured(
    sizes: Array, errors: Array, drawn: Array, units: int, limits: tuple[float, float]
) -> Measured:
    """The means of errors (K, S) of S seeds, which were `drawn` (K, S, R) on resampled sets.

    Samples and seeds are crossed, as in `repeated.over_seeds`, here as covariances. All sizes are
    scored on the same samples, so the errors of two sizes rise and fall together on resampled sets.
    What a seed changes is pooled over the sizes, in proportion to the error, as no size alone tells
    a spread from two or three seeds; subsets of one seed lie in each other, so its errors may be
    off together at all sizes: the correlation is pooled as well.

    Where all of the `units` are answered rightly, or nearly all, resampled sets hardly differ. A
    variance less than that of units that are not there (`bootstrap.unseen`), which may err by the
    width of `limits`, gets it added, at all such sizes alike.

    Raises:
        ValueError: there are fewer than two seeds or two sizes.
    """
    count, seeds = errors.shape
    if count < 2 or seeds < 2:
        raise ValueError(f"expected two sizes and two seeds at least, got {count} and {seeds}")
    drawn = drawn[:, :, np.isfinite(drawn).all((0, 1))]
    mean = errors.mean(1)
    of_samples = np.cov(drawn.mean(1))
    differing = drawn - drawn.mean(1, keepdims=True)
    interaction = differing.var(axis=2, ddof=1).sum(1) / (seeds * (seeds - 1))  # (K,)

    least = limits[0] if math.isfinite(limits[0]) else float(mean.min())
    scale = np.maximum(mean - least, 1e-12) if math.isfinite(limits[0]) else np.ones(count)
    of_seeds = _pooled(errors, scale, seeds * interaction) / seeds
    covariance = of_samples + of_seeds
    # what tells the spread of seeds holds the interaction, too
    told, freedoms = of_seeds + np.diag(interaction), (count * (seeds - 1), max(units - 1, 1))
    freedom = (
        _satterthwaite(told, of_samples, freedoms),
        _satterthwaite(_apart(told), _apart(of_samples), freedoms),
    )
    span = limits[1] - limits[0]
    if not math.isfinite(span):
        span = float(np.abs(mean).max()) or 1.0
    covariance += _of_unseen(np.diag(covariance), span, units)
    return Measured(np.asarray(sizes, float), mean, covariance, freedom, limits[0])


def _apart(covariance: Array) -> Array:
    """The covariance (K, K) of what is left of errors when their mean is taken from them."""
    rest = covariance - covariance.mean(0)
    return np.asarray(rest - rest.mean(1, keepdims=True))


def _satterthwaite(one: Array, other: Array, freedoms: tuple[int, int]) -> float:
    """The degrees of freedom of a sum of two covariances (K, K) with their own (1946)."""
    traces = float(np.trace(one)), float(np.trace(other))
    parts = sum(trace**2 / freedom for trace, freedom in zip(traces, freedoms, strict=True))
    return sum(traces) ** 2 / parts if parts else float(max(freedoms))


def _of_unseen(variances: Array, span: float, units: int) -> Array:
    """The covariance (K, K) of units that are not there, where `variances` (K,) are less."""
    deviation = unseen(units) * span / _NORMAL
    silent = variances < deviation**2
    together = np.full((len(silent), len(silent)), _ALIKE)
    np.fill_diagonal(together, 1.0)
    return np.asarray(deviation**2 * together * np.outer(silent, silent))


def _pooled(errors: Array, scale: Array, interaction: Array) -> Array:
    """The covariance (K, K) of what a seed changes in errors (K, S), in proportion to `scale` (K,).

    One variance for all sizes, and one correlation for all pairs of them. The `interaction` (K,) of
    seeds and samples, by which seeds differ as well, is left to the samples.
    """
    count, seeds = errors.shape
    relative = (errors - errors.mean(1, keepdims=True)) / scale[:, None]
    products = relative @ relative.T / (seeds - 1)
    variance = max(float(np.mean(np.diag(products) - interaction / scale**2)), 0.0)
    together = (products.sum() - np.trace(products)) / (count * (count - 1))
    correlation = min(max(together / variance, 0.0), _ALIKE) if variance else 0.0
    one = np.full((count, count), correlation)
    np.fill_diagonal(one, 1.0)
    return np.asarray(variance * one * np.outer(scale, scale))


def _smoothed(of: Measured, fitted: Array) -> Measured:
    """With the variances that the errors of a curve (K,) would have.

    The variance of a count of mistakes grows with the count: one that is small by chance would be
    taken for a sure one, and pull the curve to itself.
    """
    scale = np.sqrt(_factors(of.errors, fitted))
    return replace(of, covariance=of.covariance * np.outer(scale, scale))


def _factors(errors: Array, fitted: Array) -> Array:
    """By what variances grow from errors to those of a curve (K,), both at least 0."""
    least = 1e-12 + 0.01 * float(np.abs(errors).max())
    return np.asarray(np.clip((fitted + least) / (errors + least), *_FACTORS))


class PowerLaw:
    """e(n) = a + b n^-c with a >= least, b >= 0 and c from 0.02 to 2, by generalised least squares.

    Intervals are of the profile likelihood: all that some curve gives whose misfit is not larger
    than that of the best curve by more than the square of Student's t (Venzon and Moolgavkar 1988).
    Residuals that the covariance makes unlikely, as those of a curve of another form, widen it by
    their own size (Birge 1932); `fits` is then false.
    """

    def __init__(self, of: Measured) -> None:
        self._fit(of)
        if math.isfinite(of.least):
            self._fit(_smoothed(of, self._fitted()))

    def _fitted(self) -> Array:
        """The errors (K,) of the best curve at the sizes that are known."""
        found: Array = self._design[self._best] @ self._theta
        return found

    def _fit(self, of: Measured) -> None:
        from scipy.special import fdtrc

        self._of, self._largest = of, float(of.sizes[-1])
        self._inverse = np.linalg.inv(of.covariance)
        basis = (of.sizes / self._largest) ** -_EXPONENTS[:, None]  # (G, K)
        self._design = np.stack([np.ones_like(basis), basis], 2)  # (G, K, 2)
        weighed = np.einsum("gki,kl->gil", self._design, self._inverse)
        normal = np.einsum("gil,glj->gij", weighed, self._design)
        self._spread = np.linalg.inv(normal)  # (G, 2, 2)
        self._normal = normal
        self._free = np.einsum("gij,gj->gi", self._spread, weighed @ of.errors)
        residuals = of.errors - np.einsum("gki,gi->gk", self._design, self._free)
        self._misfit = np.einsum("gk,kl,gl->g", residuals, self._inverse, residuals)

        misfit, self._best, theta = self._least_misfit()
        self._theta = theta
        left = len(of.sizes) - PARAMETERS
        self.fits = left < 1 or float(fdtrc(left, of.freedom[1], misfit / left)) >= _UNLIKELY
        self._least, self._widened = misfit, 1.0 if self.fits else misfit / left

    @property
    def parameters(self) -> tuple[float, float, float]:
        """a, b and c of the best curve, with n in samples."""
        level, drop = self._theta
        exponent = float(_EXPONENTS[self._best])
        return float(level), float(drop * self._largest**exponent), exponent

    def at(self, size: float) -> Interval:
        """The error that is expected at a size."""
        level, drop = np.ones(len(_EXPONENTS)), (size / self._largest) ** -_EXPONENTS
        return self._interval(level, drop, self._of.freedom[0])

    def gain(self, size: float, larger: float) -> Interval:
        """By how much the error is expected to fall from one size to a larger one."""
        falls = (size / self._largest) ** -_EXPONENTS - (larger / self._largest) ** -_EXPONENTS
        return self._interval(np.zeros(len(_EXPONENTS)), falls, self._of.freedom[1])

    def measures(self, size: float, error: float, covariance: Array, variance: float) -> Interval:
        """What a mean error measured at a size will be, of `covariance` (K,) with those known."""
        if math.isfinite(self._of.least):
            factor = float(_factors(np.array([error]), np.array([self.at(size).value]))[0])
            covariance, variance = covariance * math.sqrt(factor), variance * factor
        known = self._inverse @ covariance
        noise = max(variance - float(covariance @ known), 0.0) * self._widened
        weights = np.stack(
            [np.ones(len(_EXPONENTS)), (size / self._largest) ** -_EXPONENTS], 1
        ) - np.einsum("gki,k->gi", self._design, known)
        shift = float(known @ self._of.errors)
        level, drop = weights.T
        return self._interval(level, drop, self._of.freedom[1], noise, shift)

    def _least_misfit(self) -> tuple[float, int, Array]:
        """The least misfit of all curves that are allowed, its exponent's place, and (a, b)."""
        misfits, thetas = [], []
        for theta, misfit, _ in self._pieces():
            allowed = self._allowed(theta)
            misfits.append(np.where(allowed, misfit, np.inf))
            thetas.append(theta)
        table = np.array(misfits)
        piece, best = np.unravel_index(int(table.argmin()), table.shape)
        return float(table[piece, best]), int(best), thetas[piece][best]

    def _allowed(self, theta: Array) -> Array:
        """Whether each (a, b) of (G, 2) is allowed, but for rounding."""
        slack = 1e-9 * max(float(np.abs(self._of.errors).max()), 1e-12)
        found: Array = (theta[:, 0] >= self._of.least - slack) & (theta[:, 1] >= -slack)
        return found

    def _pieces(self) -> list[tuple[Array, Array, Array]]:
        """Where a and b are free, at the edges of what is allowed, and at its corner.

        Each with the best (a, b) there (G, 2), its misfit (G,), and the spread (G, 2, 2) of what is
        free.
        """
        free = (self._free, self._misfit, self._spread)
        pieces = [free, self._edge(1, 0.0)]
        if math.isfinite(self._of.least):
            pieces.append(self._edge(0, self._of.least))
            theta = np.tile([self._of.least, 0.0], (len(_EXPONENTS), 1))
            pieces.append((theta, self._misfit_at(theta), np.zeros_like(self._spread)))
        return pieces

    def _edge(self, fixed: int, value: float) -> tuple[Array, Array, Array]:
        """The same where one of (a, b) has a value."""
        other = 1 - fixed
        variance = 1 / self._normal[:, other, other]
        slope = self._normal[:, other, fixed] * variance
        theta = np.empty_like(self._free)
        theta[:, fixed] = value
        theta[:, other] = self._free[:, other] - slope * (value - self._free[:, fixed])
        spread = np.zeros_like(self._spread)
        spread[:, other, other] = variance
        return theta, self._misfit_at(theta), spread

    def _misfit_at(self, theta: Array) -> Array:
        """The misfit (G,) of curves (G, 2)."""
        apart = theta - self._free
        found: Array = self._misfit + np.einsum("gi,gij,gj->g", apart, self._normal, apart)
        return found

    def _interval(
        self,
        of_level: Array,
        of_drop: Array,
        freedom: float,
        noise: float = 0.0,
        shift: float = 0.0,
    ) -> Interval:
        """The ends of what is linear in (a, b) by weights (G,), plus `noise`, a variance.

        For each exponent, what is not worse than allowed is an ellipse, cut by a >= least and
        b >= 0; a linear function has its ends where the ellipse is free, on an edge, or in the
        corner.
        """
        from scipy.special import stdtrit

        quantile = float(stdtrit(freedom, (1 + LEVEL) / 2))
        most = self._least + quantile**2 * self._widened
        weights = np.stack([of_level, of_drop], 1)
        value = shift + float(weights[self._best] @ self._theta)
        ends = [value]
        for theta, misfit, spread in self._pieces():
            room = most - misfit
            direction = np.einsum("gij,gj->gi", spread, weights)
            variance = np.einsum("gi,gi->g", weights, direction) + noise
            possible = room >= 0
            reach = np.sqrt(np.where(possible, room * variance, 0))
            scale = np.sqrt(
                np.where(possible & (variance > 0), room / np.maximum(variance, 1e-300), 0)
            )
            for sign in (-1.0, 1.0):
                at = theta + sign * direction * scale[:, None]
                found = shift + np.einsum("gi,gi->g", weights, theta) + sign * reach
                ends += found[possible & self._allowed(at)].tolist()
        return Interval(value, min(ends), max(ends))

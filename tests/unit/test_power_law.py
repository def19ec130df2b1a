"""Power laws: known curves are found, and their intervals hold the truth as often as they say.

Letters: K sizes, S seeds, R resampled sets, U independent units of validation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from goodfit.evaluation.power_law import Measured, PowerLaw, measured

Array = np.ndarray[Any, Any]
SIZES = 4000 * np.array([0.1, 0.2, 0.4, 0.7, 1.0])
TIMES = 400


def curve(level: float, drop: float, exponent: float, sizes: Array = SIZES) -> Array:
    return np.asarray(level + drop * sizes**-exponent)


def of(errors: Array, deviation: float = 1e-3, **changes: Any) -> Measured:
    known: dict[str, Any] = {
        "sizes": SIZES,
        "errors": errors,
        "freedom": (100.0, 100.0),
        "least": 0.0,
    }
    known["covariance"] = np.eye(len(errors)) * deviation**2
    return Measured(**known | changes)


@pytest.mark.parametrize("law", [(0.02, 2.0, 0.5), (0.1, 0.6, 0.15), (0.05, 20.0, 1.0)])
def test_a_power_law_is_found_and_foretold(law: tuple[float, float, float]) -> None:
    found = PowerLaw(of(curve(*law)))
    doubled = float(curve(*law, np.array([8000.0]))[0])
    at, gain = found.at(8000), found.gain(4000, 8000)
    assert found.fits
    assert at.value == pytest.approx(doubled, rel=0.02)
    assert at.low <= doubled <= at.high
    assert gain.value == pytest.approx(curve(*law)[-1] - doubled, rel=0.02)
    level, drop, exponent = found.parameters
    assert level + drop * 400**-exponent == pytest.approx(curve(*law)[0], rel=0.01)


def test_where_more_data_bring_nothing_the_gain_may_be_nothing() -> None:
    gain = PowerLaw(of(np.full(5, 0.2), deviation=0.002)).gain(4000, 8000)
    assert gain.low == pytest.approx(0, abs=1e-9)
    assert 0 <= gain.high < 0.002


def test_an_error_is_never_foretold_below_the_least() -> None:
    at = PowerLaw(of(curve(0.0, 5.0, 0.6), deviation=0.02)).at(80_000)
    assert 0 <= at.low <= at.value <= at.high


def test_of_a_score_without_a_best_the_level_may_be_negative() -> None:
    law = PowerLaw(of(curve(-3.0, 20.0, 0.3), deviation=0.01, least=-math.inf))
    truth = float(curve(-3.0, 20.0, 0.3, np.array([8000.0]))[0])
    assert law.at(8000).low <= truth <= law.at(8000).high


def test_of_two_sizes_the_interval_reaches_from_what_stays_to_what_falls_fast() -> None:
    two = Measured(SIZES[3:], np.array([0.12, 0.1]), np.eye(2) * 1e-8, (100.0, 100.0), 0.0)
    at = PowerLaw(two).at(8000)
    assert at.low < 0.07
    assert at.high > 0.085


def test_a_curve_of_another_form_is_said_to_be_one_and_gets_a_wider_interval() -> None:
    steps = np.array([0.5, 0.5, 0.1, 0.1, 0.1])
    broken, sound = PowerLaw(of(steps, 0.01)), PowerLaw(of(curve(0.1, 2.0, 0.5), 0.01))
    assert not broken.fits
    assert sound.fits
    width = [law.at(8000).high - law.at(8000).low for law in (broken, sound)]
    assert width[0] > 3 * width[1]


def test_errors_that_are_all_zero_leave_what_was_not_drawn() -> None:
    """As many as 1 - 0.025 ** (1 / 100) of all may be wrong, where of a hundred none is."""
    nothing = measured(SIZES, np.zeros((5, 2)), np.zeros((5, 2, 50)), 100, (0.0, 1.0))
    high = PowerLaw(nothing).at(8000).high
    assert 0.02 < high < 1.3 * (1 - 0.025 ** (1 / 100))


@pytest.mark.parametrize(("sizes", "seeds"), [(1, 3), (3, 1)])
def test_of_one_size_or_one_seed_nothing_is_known(sizes: int, seeds: int) -> None:
    shape = (sizes, seeds)
    with pytest.raises(ValueError, match="expected two sizes and two seeds at least"):
        measured(SIZES[:sizes], np.zeros(shape), np.zeros((*shape, 9)), 9, (0.0, 1.0))


CASES: dict[str, dict[str, Any]] = {
    "samples and seeds": {"law": (0.02, 2.0, 0.5), "seeds": 3, "of_seed": 0.1},
    "all can be learned": {"law": (0.0, 2.0, 0.4), "seeds": 3, "of_seed": 0.05},
    "seeds that are off at all sizes": {
        "law": (0.05, 2.0, 0.5),
        "seeds": 4,
        "of_seed": 0.2,
        "alike": 0.6,
    },
    "samples that depend on each other": {
        "law": (0.1, 2.0, 0.5),
        "seeds": 3,
        "of_seed": 0.05,
        "rows": 5,
    },
}


QUICK = ("samples and seeds", "samples that depend on each other")


def simulated(
    rng: np.random.Generator,
    law: tuple[float, float, float],
    seeds: int,
    of_seed: float,
    alike: float = 0.0,
    rows: int = 1,
) -> Measured:
    """What a curve is measured as: 400 units of so many rows, each answered rightly or not.

    A row is as hard at all sizes and for all seeds, the more so the rows of one unit.
    """
    units, errors = 400, curve(*law)[:, None]
    of_unit = rng.normal(size=(units, 1)) * math.sqrt(0.5 if rows > 1 else 0.0)
    hard = of_unit + rng.normal(size=(units, rows)) * math.sqrt(0.5 if rows > 1 else 1.0)
    common, own = rng.normal(size=seeds), rng.normal(size=(5, seeds))
    off = math.sqrt(alike) * common + math.sqrt(1 - alike) * own
    chances = np.clip(errors * (1 + of_seed * off), 1e-4, 1 - 1e-4)
    noise = rng.normal(size=(5, seeds, units, rows))
    difficulty = math.sqrt(0.7) * hard + math.sqrt(0.3) * noise
    wrong = (difficulty < norm.ppf(chances)[:, :, None, None]).mean(3)
    counts = rng.multinomial(units, np.full(units, 1 / units), size=100) / units
    return measured(SIZES, wrong.mean(2), wrong @ counts.T, units, (0.0, 1.0))


@pytest.mark.parametrize(
    "case",
    [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in CASES if case not in QUICK)],
)
def test_the_intervals_hold_the_truth_as_often_as_they_say(case: str) -> None:
    """Of twice the data, and of the largest size by the smaller ones: 93 to 97 of 100 times."""
    truth = float(curve(*CASES[case]["law"], np.array([8000.0]))[0])
    held, foretold = [], []
    generators = [np.random.default_rng(seed) for seed in ((1,) if case in QUICK else (1, 2))]
    for rng in (rng for rng in generators for _ in range(TIMES)):
        known = simulated(rng, **CASES[case])
        at, before = PowerLaw(known).at(8000), PowerLaw(known.first(4))
        held.append(at.low <= truth <= at.high)
        of_last = known.covariance[4]
        largest = before.measures(SIZES[4], known.errors[4], of_last[:4], of_last[4])
        foretold.append(largest.low <= known.errors[4] <= largest.high)
    assert 0.93 <= np.mean(held) <= 0.97
    assert 0.93 <= np.mean(foretold) <= 0.97

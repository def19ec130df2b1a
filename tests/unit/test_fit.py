"""Whatever the curves look like, they get one judgement, which does not contradict itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from goodfit.records import Cost, Evaluation, Training
from goodfit.reporting.fit import Fit, judge

pytestmark = pytest.mark.fault(64)
TRAINING = Training(
    run_id="r",
    monitor="val/loss",
    epochs=1,
    best_epoch=0,
    steps=1,
    scores={},
    cost=Cost(seconds=1.0, parameters=1, trainable=1, peak_memory_mb=1),
    machine="",
    commit="",
    dirty="",
    weights_sha256="",
)
FALLING, TURNING, FLAT = (0.9, 0.6, 0.4), (0.9, 0.4, 0.6), (0.9, 0.4, 0.4001)


def evaluation(mode: str, half_width: float, *, trivial: float, outcome: int) -> Evaluation:
    """A test score of 0.5, against a trivial baseline with this score and outcome."""
    score = {"value": 0.5, "low": 0.5 - half_width, "high": 0.5 + half_width}
    against, baselines = [], []
    for title, role in (("forest", "strong"), ("chance", "trivial")):
        against.append({"title": title, "role": role, "outcome": outcome, "difference": score})
        baselines.append(
            {
                "title": title,
                "role": role,
                "validation": trivial,
                "scores": {"s": score | {"value": trivial}},
            }
        )
    content: dict[str, Any] = {
        **dict.fromkeys(("experiment", "task", "model", "subject", "cluster"), "x"),
        **dict.fromkeys(("test_sha256", "weights_sha256"), "x"),
        **{key: [] for key in ("charts", "typical", "examples")},
        **dict.fromkeys(("samples", "clusters", "resamples"), 100),
        "score": "s",
        "modes": {"s": mode},
        "seconds_per_1000": 1.0,
        "network": {"s": score},
        "baselines": baselines,
        "verdict": {"word": "", "text": "", "against": against, "worse_than_trivial": False},
    }
    return Evaluation.of(content, Path("evaluation.json"))


def judged(
    curve: tuple[float, ...], gap: float, mode: str = "max", *, outcome: int = 1
) -> tuple[Fit, str]:
    """Of losses by epoch, and how much worse validation is than train, where 0.05 is uncertain."""
    sign = -1 if mode == "max" else 1
    scores = {"train/s": 1.0, "val/s": 1.0 + sign * gap, "gap/s": sign * gap}
    best = min(range(len(curve)), key=lambda epoch: curve[epoch])
    training = replace(TRAINING, epochs=len(curve), best_epoch=best, scores=scores)
    history = [{"epoch": epoch, "val/loss": loss} for epoch, loss in enumerate(curve)]
    trivial = 0.1 if (outcome > 0) == (mode == "max") else 1.9
    return judge(training, history, evaluation(mode, 0.05, trivial=trivial, outcome=outcome))


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(
    ("curve", "gap", "fit"),
    [
        (FALLING, 0.0, Fit.IMPROVING),
        (FALLING, 0.3, Fit.IMPROVING),  # validation has not turned: a gap is no overfitting
        (FALLING, -0.3, Fit.IMPROVING),
        (TURNING, 0.0, Fit.PASSED),
        (TURNING, 0.3, Fit.OVERFIT),
        (TURNING, -0.3, Fit.PASSED),
        (FLAT, 0.0, Fit.LEVEL),
        (FLAT, 0.3, Fit.LEVEL),
        ((0.9, 0.4001, 0.4), 0.0, Fit.LEVEL),
        ((0.9,), 0.3, Fit.SHORT),
        ((0.4, 0.4, 0.4), 0.0, Fit.LEVEL),
    ],
)
def test_a_training_is_judged_by_its_curve_and_its_gap(
    curve: tuple[float, ...], gap: float, fit: Fit, mode: str
) -> None:
    assert judged(curve, gap, mode)[0] is fit


@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_neither_train_nor_test_show_to_be_better_than_trivial_has_learned_nothing(
    mode: str,
) -> None:
    fit, text = judged(TURNING, 0.3, mode, outcome=0)
    assert fit is Fit.UNDERFIT
    assert "overfitting" not in text


@pytest.mark.parametrize(
    ("curve", "gap", "outcome"),
    list(product((FALLING, TURNING, FLAT, (0.9,)), (-0.3, 0.0, 0.3), (1, 0))),
)
def test_no_judgement_contradicts_itself(
    curve: tuple[float, ...], gap: float, outcome: int
) -> None:
    """Of each group of sentences at most one is said."""
    _, text = judged(curve, gap, outcome=outcome)
    lengths = ("longer training may help", "longer training alone", "more would help")
    assert sum(said in text for said in lengths) <= 1
    assert not ("may help" in text and "improving" in text and "overfitting" in text)
    assert not ("clearly worse" in text and "clearly better" in text)
    assert not ("overfitting" in text and "learned nothing" in text)
    assert not ("smaller than the uncertainty" in text and "overfitting" in text)


def test_the_score_is_said_at_its_best_and_at_the_end() -> None:
    assert "which was 0.400 then and 0.600 in the last epoch" in judged(TURNING, 0.0)[1]


def test_an_epoch_that_was_not_measured_is_left_out() -> None:
    """An empty cell of history.csv is NaN."""
    assert judged((0.9, 0.4, 0.6, float("nan")), 0.0)[0] is Fit.PASSED

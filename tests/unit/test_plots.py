"""Plots of a study: which there are, and that a bad trial does not hide the good ones."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from goodfit.search.plots import figures

SPACE = {"lr": FloatDistribution(1e-4, 1e-1, log=True), "width": CategoricalDistribution([8, 16])}


def study(*values: float, pruned: int = 0, direction: str = "minimize") -> optuna.Study:
    made = optuna.create_study(study_name="s", direction=direction)
    for number, value in enumerate(values):
        params = {"lr": 1e-3 * (number + 1), "width": (8, 16)[number % 2]}
        steps = {0: value + 1, 1: value}
        made.add_trial(
            create_trial(value=value, params=params, distributions=SPACE, intermediate_values=steps)
        )
    for _ in range(pruned):
        made.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={0: 3.0}))
    return made


def test_without_a_complete_trial_there_is_nothing_to_draw() -> None:
    assert figures(study(pruned=2)) == {}


def test_few_trials_have_no_importances() -> None:
    assert set(figures(study(1.0, 2.0, 3.0))) == {
        "history",
        "slices",
        "parallel_coordinates",
        "curves",
    }
    assert "importances" in figures(study(1.0, 2.0, 3.0, 4.0, 5.0))


@pytest.mark.parametrize(
    ("direction", "best"), [("minimize", [4.0, 4.0, 2.0, 2.0]), ("maximize", [4.0, 5.0, 5.0, 9.0])]
)
def test_the_line_of_the_history_is_the_best_so_far(direction: str, best: list[int]) -> None:
    (axes,) = figures(study(4.0, 5.0, 2.0, 9.0, direction=direction))["history"].axes
    line = next(line for line in axes.lines if line.get_label() == "best so far")
    assert list(line.get_ydata()) == best


def test_one_bad_trial_does_not_flatten_the_others() -> None:
    (axes,) = figures(study(1.0, 1.1, 1.2, 1.3, 500.0))["history"].axes
    low, high = axes.get_ylim()
    assert low < 1.0
    assert 1.3 < high < 3.0


def test_each_pruned_trial_has_a_cross_and_each_complete_one_a_curve() -> None:
    (axes,) = figures(study(1.0, 2.0, pruned=3))["curves"].axes
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    assert sum(line.get_marker() == "x" for line in drawn) == 3
    assert sum(list(line.get_ydata()) in ([2.0, 1.0], [3.0, 2.0]) for line in drawn) == 2


def test_slices_show_the_whole_range_that_was_searched() -> None:
    figure = figures(study(1.0, 2.0, 3.0))["slices"]
    panels = {axes.get_xlabel(): axes for axes in figure.axes}
    low, high = panels["lr"].get_xlim()
    assert low <= 1e-4
    assert high >= 1e-1
    assert panels["lr"].get_xscale() == "log"
    assert [label.get_text() for label in panels["width"].get_xticklabels()] == ["8", "16"]

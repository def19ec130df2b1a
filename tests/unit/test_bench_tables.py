"""What `make tables` makes of several seeds, and what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

from benchmarks import tables
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.evaluation.bootstrap import Resampled
from goodfit.records.interval import Interval


def resampled(value: float, values: list[float]) -> Resampled:
    return Resampled(Interval(value, min(values), max(values)), np.array(values), 40, 40, 1.0)


def network(outcome: int) -> tables.Network:
    interval = Interval(0.9, 0.8, 1.0)
    return tables.Network(
        score=interval,
        validation=0.91,
        by_seed=(0.9, 0.8, 1.0),
        outcome=outcome,
        difference=Interval(0.1, -0.1, 0.2),
        seconds=3.2,
        parameters=12345,
    )


def measured(name: str, outcome: int) -> tables.Measured:
    return tables.Measured(
        name=name,
        about="rows",
        score="auroc",
        samples=(700, 100, 200),
        columns=9,
        test_sha256="a" * 64,
        boosting=Interval(0.8, 0.7, 0.9),
        boosting_validation=0.81,
        networks=dict.fromkeys(tables.NETWORKS, network(outcome)),
        machine="a machine",
    )


def test_the_score_of_several_seeds_is_their_mean_in_each_test_set() -> None:
    mean = tables.mean_over_seeds([resampled(1.0, [0.0, 2.0]), resampled(2.0, [2.0, 2.0])])
    assert mean.values.tolist() == [1.0, 2.0]
    assert mean.interval.value == 1.5


def test_the_page_counts_wins_ties_and_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tables.PAGE.parent.mkdir()
    tables.page([measured("a", 1), measured("b", 0), measured("c", -1), measured("d", 0)])
    text = tables.PAGE.read_text()
    assert (
        "Of 4 tables it beats boosting on 1 (`a`); it ties with boosting on 2 (`b`, `d`); "
        "it loses to boosting on 1 (`c`)." in text
    )
    assert "Not measured: `attrition`, `cells`" in text
    assert text.count("| `c` | auroc | 0.81 | 0.91 | 0.8") == len(tables.NETWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", tables.TABLES)
def test_each_table_is_an_experiment_with_the_same_hyperparameters(name: str) -> None:
    """One set for all: what a table may have of its own is its batch and how long it may take."""

    composed, first = (
        tree.frozen(compose(tiny.ROOT, [f"experiment={each}"])) for each in (name, "cells")
    )
    for section in ("model", "optimizer", "schedule", "average", "parameters"):
        assert composed[section] == first[section]

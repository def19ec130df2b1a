"""Remedies are compared by the same seeds on the same validation, and the best one can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import yaml
from furnished import furnish
from omegaconf import DictConfig, OmegaConf

from goodfit.config.compose import compose
from goodfit.config.regularization import settled
from goodfit.errors import UserError
from goodfit.evaluation.repeated import Estimate
from goodfit.records import Training
from goodfit.records.interval import Interval
from goodfit.repeats.compare import Compared
from goodfit.repeats.train import place
from goodfit.repeats.treat import Tried, treat
from goodfit.stages import diagnose


@pytest.mark.slow
def test_a_remedy_is_compared_with_what_was_by_the_same_seeds(
    tmp_path: Path, prepared: Any, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = furnish(tmp_path, prepared, database, tiny.QUICK)

    def composed(overrides: Sequence[str]) -> DictConfig:
        changed = OmegaConf.merge(base, OmegaConf.from_dotlist(list(overrides[1:])))
        assert isinstance(changed, DictConfig)
        return changed

    (tried,) = treat(composed, ["experiment=tiny"], ["model.dropout=0.5"], seeds=2)
    scores = []
    for overrides in ([], ["model.dropout=0.5"]):
        there = place(composed(["experiment=tiny", *overrides]), folds=None, seeds=2)
        facts = [Training.read(model / "train.json") for model in there.models]
        scores.append(
            [[each.scores[f"{part}/accuracy"] for each in facts] for part in ("val", "gap")]
        )
    before, after = np.mean(scores, axis=2)
    assert tried.compared.difference.interval.value == pytest.approx(after[0] - before[0])
    assert tried.gap == pytest.approx(-after[1])
    assert tried.compared.on.endswith("2 seeds (0, 1)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["seeds=1"], "seeds=1: expected a number of at least 2"),
        (["seeds=x"], "seeds=x: expected a number"),
        (["keep=yes"], "keep=yes: expected true or false"),
        (["first_batch=1"], "first_batch=1: expected true or false"),
        (["model.width=8", "keep=true"], "leave out model.width=8"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        diagnose._asked(["experiment=mnist", *options])


@pytest.mark.parametrize(("option", "by"), [("true", "sample"), ("false", None), ("film", "film")])
def test_targets_are_shuffled_by_sample_or_by_a_column(option: str, by: str | None) -> None:
    asked = diagnose._asked(["experiment=reviews", f"shuffled={option}"])
    assert (asked.shuffled, asked.overrides) == (by, ("experiment=reviews",))


def test_a_bare_name_of_an_option_is_not_dropped() -> None:
    assert diagnose._asked(["experiment=mnist", "keep"]).overrides == ("experiment=mnist", "keep")


@pytest.mark.slow
@pytest.mark.parametrize("remedy", ["model.dropout=0.5", "regularization=strong"])
def test_what_is_kept_is_taken_up_and_leaves_what_was_tuned(
    remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = yaml.safe_load((tiny.ROOT / "conf/tuned/mnist.yaml").read_text())
    for path in (tiny.ROOT / "conf").rglob("*.yaml"):
        copy = tmp_path / path.relative_to(tiny.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    sure = Interval(0.01, 0.005, 0.015)
    found = Compared("accuracy", sure, sure, Estimate(sure, 0.002, 2.0, 0.01), "validation", "it")
    chosen = ["experiment=mnist"]
    path = diagnose._keep(compose(Path(), chosen), Tried(remedy, found, 0.1), seeds=3)

    assert path == Path("conf/tuned/mnist.yaml")
    after, _ = settled(compose(Path(), chosen), [*chosen, "tuned=mnist"])
    assert after["optimizer"]["lr"] == before["optimizer"]["lr"]
    if remedy.startswith("model"):
        assert after["model"]["dropout"] == 0.5
    else:
        assert after["regularization"] == "strong"

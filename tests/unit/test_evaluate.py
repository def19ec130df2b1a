"""Evaluate refuses what would make its numbers mean nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from goodfit import build
from goodfit.baseline.logistic import Logistic
from goodfit.errors import UserError
from goodfit.evaluation.degenerate import SHUFFLED
from goodfit.evaluation.evaluate import evaluate
from goodfit.system.files import read_json, sha256

Prepared = Callable[[str], Path]


@pytest.fixture
def data(prepared: Prepared, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared("breast_cancer"), tmp_path / "data"))


def test_a_model_of_other_data_is_refused(trained: Any, data: Path) -> None:
    spec = read_json(data / "spec.json")
    spec["targets"]["target"]["labels"] = spec["targets"]["target"]["labels"][::-1]
    (data / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(UserError, match=r"was trained on other data than .* holds; train again"):
        evaluate(tiny.cfg("breast_cancer"), data, trained[0] / "model")


@pytest.mark.slow
def test_evaluating_twice_gives_the_same_numbers(trained: Any, data: Path) -> None:
    first, again = (
        evaluate(tiny.cfg("breast_cancer"), data, trained[0] / "model")[0] for _ in range(2)
    )
    assert replace(first, seconds_per_1000=0.0) == replace(again, seconds_per_1000=0.0)


class Again(Logistic):
    """The same method under another name: no other one fits the data of these tests."""

    title = "logistic again"


def test_a_second_baseline_is_scored_and_the_verdict_is_about_the_first(
    trained: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "baselines", lambda _: [Logistic(), Again()])
    result, _ = evaluate(tiny.cfg("breast_cancer"), data, trained[0] / "model")
    assert [item.role for item in result.baselines][:3] == ["strong", "other", "trivial"]
    strong, other, *_ = result.baselines
    assert strong.scores == other.scores
    assert Again.title not in result.verdict.text


@pytest.mark.fault(59)
def test_a_network_that_answers_all_alike_is_compared_with_its_own_answers_shuffled(
    trained: Any, data: Path, tmp_path: Path
) -> None:
    """Here labels are alike and probabilities are not: accuracy cannot tell, log loss can."""
    model = Path(shutil.copytree(trained[0] / "model", tmp_path / "model"))
    weights = torch.load(model / "weights.pt")
    last = [name for name in weights if not name.startswith("task:")][-1]
    weights[last] = torch.tensor([-50.0, 50.0])
    torch.save(weights, model / "weights.pt")
    facts = read_json(model / "train.json") | {"weights_sha256": sha256(model / "weights.pt")}
    (model / "train.json").write_text(json.dumps(facts))

    result, statistics = evaluate(tiny.cfg("breast_cancer"), data, model)
    labels = read_json(data / "spec.json")["targets"]["target"]["labels"]
    assert result.verdict.degenerate == f"it answers '{labels[1]}' for every test sample"
    assert result.verdict.text.endswith(result.verdict.degenerate)
    assert SHUFFLED in result.verdict.not_shown
    shuffled = next(item for item in result.baselines if item.title == SHUFFLED)
    assert shuffled.scores["accuracy"] == result.headline
    mine, others = (
        statistics[f"{title.replace(' ', '_')}.prediction"] for title in ("network", SHUFFLED)
    )
    assert sorted(mine.tolist()) == sorted(others.tolist())
    assert mine.tolist() != others.tolist()

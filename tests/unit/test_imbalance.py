"""Rare labels: weights of the loss, a headline that suits, a threshold chosen by costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_tasks
import torch
import torch.nn.functional as F
from small_tasks import spec

from goodfit.contract import Field
from goodfit.errors import UserError
from goodfit.evaluation.evaluate import evaluate
from goodfit.launch.fit import fit
from goodfit.predictor import Predictor
from goodfit.schema import Costs
from goodfit.store.arrays import Packed
from goodfit.task import weights
from goodfit.task.classification import Classification
from goodfit.task.costs import cheapest_threshold, of_mistakes

LABELS = ("no", "yes")
RARE = {"target": np.array([0] * 90 + [1] * 10)}
COSTS = {"label": "yes", "false_positive": 1.0, "false_negative": 10.0}


def made(labels: tuple[str, ...] = LABELS, **options: Any) -> Classification:
    """A task for these labels."""
    of_labels = spec("class", len(labels), Field((), "int64", labels=labels))
    task = small_tasks.made("classification", of_labels, **options)
    assert isinstance(task, Classification)
    return task


def test_balanced_weights_are_those_of_scikit_learn_and_one_on_average() -> None:
    task = made(class_weights="balanced", majority="keep")
    task.learn(RARE, held_out=20)
    assert task.class_weights is not None
    assert task.class_weights.tolist() == pytest.approx([100 / (2 * 90), 100 / (2 * 10)])
    assert float(task.class_weights[RARE["target"]].mean()) == pytest.approx(1.0)


def test_weighted_losses_of_micro_batches_add_up_to_that_of_the_batch() -> None:
    """As a step weighs them: each part by its units."""
    task = made(class_weights="balanced", majority="keep")
    task.learn(RARE, held_out=20)
    output, target = torch.randn(12, 2), torch.tensor([0] * 9 + [1] * 3)
    whole = task.loss(output, target).sum() / task.units(target).sum()
    parts = []
    for rows in torch.arange(12).split(5):
        loss, units = task.loss(output[rows], target[rows]), task.units(target[rows])
        weight = float(units.sum()) / 12
        parts.append(weight * loss.sum() / units.sum())
    torch.testing.assert_close(sum(parts), whole)
    each = F.cross_entropy(output, target, reduction="none")
    torch.testing.assert_close(whole, (each * task.class_weights[target]).mean())


def test_without_weights_only_the_temperature_is_kept_beside_the_network() -> None:
    network = made().model.state_dict().keys()
    assert weights.kept(made()).keys() == {*network, "task:temperature"}


@pytest.mark.parametrize("labels", [LABELS, ("a", "b", "c")])
def test_accuracy_is_no_headline_where_one_label_is_nearly_all(labels: tuple[str, ...]) -> None:
    message = f"label '{labels[0]}' is 90.0% of train, the rest 10.0%"
    with pytest.raises(UserError, match=message) as refusal:
        made(labels).learn(RARE, held_out=20)
    for way_out in ("task.score=balanced_accuracy", "task.majority=keep"):
        assert way_out in str(refusal.value)


@pytest.mark.parametrize("options", [{"majority": "keep"}, {"score": "balanced_accuracy"}])
def test_another_headline_or_a_word_lets_rare_labels_pass(options: dict[str, str]) -> None:
    made(**{"score": "accuracy"} | options).learn(RARE, held_out=20)


def test_a_fifth_of_rare_labels_is_enough() -> None:
    made(score="accuracy").learn({"target": np.array([0] * 80 + [1] * 20)}, held_out=20)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_costs_less_than_the_one_that_is_chosen(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # few values, so that some tie
    probability = torch.randint(0, 9, (40,), generator=generator) / 8
    is_so = torch.rand(40, generator=generator) < probability * 0.6
    costs = Costs(label="yes", false_positive=1.0, false_negative=1.0 + seed % 7)

    def cost(threshold: float) -> float:
        return float(of_mistakes(probability >= threshold, is_so, costs).sum())

    chosen = cheapest_threshold(probability, is_so, costs)
    assert cost(chosen) == min(cost(each / 16 - 0.01) for each in range(18))


def test_a_threshold_parts_probabilities_that_are_neighbouring_floats() -> None:
    low = torch.tensor(0.3)
    both = torch.stack([low, torch.nextafter(low, torch.tensor(1.0))])
    chosen = cheapest_threshold(both, torch.tensor([False, True]), Costs(**COSTS))
    assert (both >= torch.tensor(chosen)).tolist() == [False, True]


def test_of_equally_cheap_thresholds_the_one_nearest_to_the_costs_is_taken() -> None:
    probability = torch.tensor([0.02, 0.04, 0.5, 0.9])
    is_so = torch.tensor([False, False, True, True])
    even = Costs(label="yes", false_positive=1.0, false_negative=1.0)
    assert cheapest_threshold(probability, is_so, even) == pytest.approx(0.27)
    none = torch.zeros(4, dtype=torch.bool)
    assert cheapest_threshold(probability, none, even) > 1  # it is never answered


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS, {"costs": COSTS | {"label": "ja"}}, "'ja' is no label; there are 'no' and 'yes'"),
        (("a", "b", "yes"), {"costs": COSTS}, "about one of two labels, the data have 3"),
        (LABELS, {"score": "cost"}, "task.score=cost needs task.costs"),
        (LABELS, {"monitor": "cost"}, "task.monitor=cost needs task.costs"),
    ],
)
def test_costs_that_mean_nothing_are_refused(
    labels: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        made(labels, **options)


@pytest.fixture
def by_cost(home: Callable[..., Any], tmp_path: Path) -> tuple[Any, Path]:
    """A configuration with costs, and the folder of a model that was trained by it."""
    costs = {"label": "malignant", "false_positive": 1.0, "false_negative": 25.0}
    cfg = home(task={"costs": costs, "score": "cost", "class_weights": "balanced"})
    fit(cfg, out=tmp_path / "model")
    return cfg, tmp_path / "model"


@pytest.mark.slow
def test_the_threshold_of_validation_answers_in_use_as_in_evaluation(
    by_cost: tuple[Any, Path],
) -> None:
    cfg, model = by_cost
    data = Path("data/prepared/tiny")
    predictor = Predictor.load(model)
    task = predictor.task
    threshold = torch.load(model / "weights.pt")["task:threshold"]
    assert torch.equal(task.threshold, threshold)

    results = predictor.measure(Packed(data, "validation")).statistics
    of_label = results["prediction"][:, 1]
    assert float(threshold) == cheapest_threshold(of_label, results["target"] == 1, task.costs)

    evaluation, statistics = evaluate(cfg, data, model)
    rows = pd.read_parquet(data / "test" / "rows.parquet")
    answers = predictor.predict(rows)
    decided = [task.spec.labels[code] for code in statistics["network.decision"]]
    assert answers["label"].tolist() == decided
    expected = np.where(answers["p_malignant"] >= float(threshold), "malignant", "benign")
    assert answers["label"].tolist() == expected.tolist()
    mean = statistics["network.cost"].mean()
    assert evaluation.headline.value == pytest.approx(float(mean), rel=1e-6)


def test_another_method_has_a_threshold_of_its_own() -> None:
    """Nobody is beaten by a threshold alone."""
    task, target = made(costs=COSTS), torch.tensor([0, 1])
    before = float(task.threshold)
    probability = torch.tensor([[0.1, 0.9], [0.02, 0.98]])
    other = task.calibrated(task.statistics(probability, target))
    scaled = other.recalibrated(probability)
    assert float(other.threshold) == pytest.approx(float(scaled[:, 1].mean()))
    assert float(task.threshold) == before == pytest.approx(1 / 11)
    assert other.statistics(scaled, target)["decision"].tolist() == [0, 1]
    assert task.statistics(probability, target)["decision"].tolist() == [1, 1]


def test_a_model_without_its_threshold_is_refused(by_cost: tuple[Any, Path]) -> None:
    _, model = by_cost
    tensors = torch.load(model / "weights.pt")
    del tensors["task:threshold"]
    torch.save(tensors, model / "weights.pt")
    (model / "train.json").unlink()
    with pytest.raises(UserError, match=r"the task has .*'threshold'.* the file has"):
        Predictor.load(model)

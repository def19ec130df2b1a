"""Scores of samples that do not count alike are those of scikit-learn, and of copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn
from small_tasks import NUMBER, SEVERAL, made, spec
from torch import Tensor

from goodfit.contract import SAMPLE_WEIGHT, Field
from goodfit.evaluation.bootstrap import Resampled, Resamples, intervals
from goodfit.evaluation.verdict import verdict
from goodfit.metrics import classification, counts, errors, multilabel, ordered
from goodfit.metrics.weighted_arrays import effective, quantiles, single
from goodfit.schema import Costs
from goodfit.task.conformal import margin
from goodfit.task.costs import cheapest_threshold
from goodfit.task.scores import Statistics, with_weight

N, K = 200, 4
RNG = np.random.default_rng(3)
TARGET = RNG.integers(0, K, N)
# of two decimals, so that some tie; each row sums to one
SCORES = RNG.dirichlet(np.ones(K), N).round(2)
SHARES = SCORES / SCORES.sum(1, keepdims=True)
SURE = SHARES.argmax(1)
WEIGHT = RNG.exponential(0.3, N) * (RNG.random(N) > 0.1)
HOLDS = (RNG.random((N, K)) > 0.7).astype(float)
COUNTS, EXPECTED = RNG.poisson(3, N).astype(float), RNG.gamma(3, 1, N)
LABELS = spec("class", 2, Field((), "int64", labels=("no", "yes")))


def each_class(score: Callable[..., float]) -> float:
    """The mean of a score over the classes, each against the others."""
    return float(
        np.mean([score(k == TARGET, SHARES[:, k], sample_weight=WEIGHT) for k in range(K)])
    )


def f1_of_each() -> float:
    kept = WEIGHT > 0  # scikit-learn counts a class that weighs nothing as one without a hit
    return float(
        sklearn.f1_score(TARGET[kept], SURE[kept], sample_weight=WEIGHT[kept], average="macro")
    )


SURE_T, TARGET_T, SHARES_T = torch.tensor(SURE), torch.tensor(TARGET), torch.tensor(SHARES)
HOLDS_T, WEIGHT_T = torch.tensor(HOLDS), torch.tensor(WEIGHT)
COUNTS_T, EXPECTED_T = torch.tensor(COUNTS), torch.tensor(EXPECTED)
BY_OURS: dict[str, tuple[Callable[[], Tensor], Callable[[], float]]] = {
    "auroc": (
        lambda: classification.Auroc(SHARES_T, TARGET_T).of(WEIGHT_T),
        lambda: each_class(sklearn.roc_auc_score),
    ),
    "average precision": (
        lambda: classification.AveragePrecision(SHARES_T, TARGET_T).of(WEIGHT_T),
        lambda: each_class(sklearn.average_precision_score),
    ),
    "accuracy": (
        lambda: classification.accuracy(SURE_T, TARGET_T, WEIGHT_T),
        lambda: sklearn.accuracy_score(TARGET, SURE, sample_weight=WEIGHT),
    ),
    "balanced accuracy": (
        lambda: classification.balanced_accuracy(SURE_T, TARGET_T, K, WEIGHT_T),
        lambda: sklearn.balanced_accuracy_score(TARGET, SURE, sample_weight=WEIGHT),
    ),
    "f1": (lambda: classification.macro_f1(SURE_T, TARGET_T, K, WEIGHT_T), f1_of_each),
    "log loss": (
        lambda: classification.log_loss(SHARES_T.clamp_min(1e-9), TARGET_T, WEIGHT_T),
        lambda: float(np.average(-np.log(SHARES.clip(1e-9)[np.arange(N), TARGET]), weights=WEIGHT)),
    ),
    "kappa": (
        lambda: ordered.weighted_kappa(SURE_T, TARGET_T, K, WEIGHT_T),
        lambda: sklearn.cohen_kappa_score(TARGET, SURE, weights="quadratic", sample_weight=WEIGHT),
    ),
    "distance": (
        lambda: ordered.distance(SURE_T, TARGET_T, WEIGHT_T),
        lambda: sklearn.mean_absolute_error(TARGET, SURE, sample_weight=WEIGHT),
    ),
    "f1 of all labels": (
        lambda: multilabel.micro_f1((SHARES_T > 0.3).double(), HOLDS_T, WEIGHT_T),
        lambda: sklearn.f1_score(HOLDS, SHARES > 0.3, average="micro", sample_weight=WEIGHT),
    ),
    "f1 of labels": (
        lambda: multilabel.macro_f1((SHARES_T > 0.3).double(), HOLDS_T, WEIGHT_T),
        lambda: sklearn.f1_score(HOLDS, SHARES > 0.3, average="macro", sample_weight=WEIGHT),
    ),
    "average precision of labels": (
        lambda: multilabel.average_precision(SHARES_T, HOLDS_T, WEIGHT_T),
        lambda: sklearn.average_precision_score(HOLDS, SHARES, sample_weight=WEIGHT),
    ),
    "deviance": (
        lambda: counts.deviance(EXPECTED_T, COUNTS_T, WEIGHT_T),
        lambda: sklearn.mean_poisson_deviance(COUNTS, EXPECTED, sample_weight=WEIGHT),
    ),
    "rmse": (
        lambda: errors.rmse(EXPECTED_T, COUNTS_T, WEIGHT_T),
        lambda: sklearn.root_mean_squared_error(COUNTS, EXPECTED, sample_weight=WEIGHT),
    ),
    "mae": (
        lambda: errors.mae(EXPECTED_T, COUNTS_T, WEIGHT_T),
        lambda: sklearn.mean_absolute_error(COUNTS, EXPECTED, sample_weight=WEIGHT),
    ),
    "r2": (
        lambda: errors.r2(EXPECTED_T, COUNTS_T, WEIGHT_T),
        lambda: sklearn.r2_score(COUNTS, EXPECTED, sample_weight=WEIGHT),
    ),
}


@pytest.mark.parametrize("name", BY_OURS)
def test_a_weighted_score_is_that_of_scikit_learn(name: str) -> None:
    ours, theirs = BY_OURS[name]
    assert float(ours()) == pytest.approx(theirs(), rel=1e-9)


def copied(values: np.ndarray, weight: np.ndarray) -> Tensor:  # type: ignore[type-arg]
    return torch.tensor(np.repeat(values, weight.astype(int)))


WHOLE = RNG.integers(0, 4, N)
MISSES = RNG.normal(size=N)


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.99])
def test_the_width_of_an_interval_is_that_of_copies(coverage: float) -> None:
    weighed = margin(torch.tensor(MISSES), coverage, torch.tensor(WHOLE).float())
    assert weighed == margin(copied(MISSES, WHOLE), coverage)


def test_the_width_does_not_depend_on_the_unit_of_weights_that_are_shares_of_a_whole() -> None:
    shares = torch.tensor(WEIGHT / WEIGHT.sum())
    misses = torch.tensor(MISSES)
    assert margin(misses, 0.9, shares) == margin(misses, 0.9, shares / 1000)
    alike = torch.full((N,), 1 / N, dtype=torch.float64)
    assert margin(misses, 0.9, alike) == margin(misses, 0.9)


def test_the_threshold_is_that_of_copies() -> None:
    costs = Costs(label="yes", false_positive=1.0, false_negative=3.0)
    probability, is_so = SHARES[:, 0], RNG.random(N) < SHARES[:, 0]
    weighed = cheapest_threshold(
        torch.tensor(probability), torch.tensor(is_so), costs, torch.tensor(WHOLE).float()
    )
    of_copies = cheapest_threshold(copied(probability, WHOLE), copied(is_so, WHOLE), costs)
    assert weighed == of_copies
    assert weighed != cheapest_threshold(torch.tensor(probability), torch.tensor(is_so), costs)


def test_quantiles_are_those_of_copies() -> None:
    levels = [0.0, 0.1, 0.5, 0.77, 1.0]
    found = quantiles(MISSES, levels, WHOLE)
    assert found == pytest.approx(np.quantile(np.repeat(MISSES, WHOLE), levels), rel=1e-12)
    assert quantiles(MISSES, levels, None).tolist() == np.quantile(MISSES, levels).tolist()


def test_a_further_sample_weighs_one_or_the_mean_of_shares() -> None:
    assert single(np.array([0, 3, 5])) == 1
    assert single(np.array([0, 0.1, 0.3])) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("weight", "told"), [([2.0] * 50, 50), ([0.1] * 30, 30), ([9, 1], 1), ([1, 1, 0], 2), ([0], 0)]
)
def test_the_effective_size_is_that_of_kish(weight: list[float], told: int) -> None:
    assert effective(np.array(weight)) == told


@pytest.mark.parametrize(
    ("name", "of_data", "options"),
    [
        ("regression", NUMBER, {"interval": 0.9}),
        ("quantile", NUMBER, {"score": "pinball", "calibration": "conformal"}),
        (
            "classification",
            LABELS,
            {"score": "cost", "costs": {"label": "yes", "false_positive": 1, "false_negative": 5}},
        ),
    ],
)
@pytest.mark.fault(74)
def test_what_validation_decides_is_what_copies_decide(
    name: str,
    of_data: object,
    options: dict,  # type: ignore[type-arg]
) -> None:
    task = made(name, of_data, **options)  # type: ignore[arg-type]
    prediction = torch.tensor(MISSES).float()
    target = prediction + (1 + torch.tensor(WHOLE)) * torch.tensor(RNG.normal(size=N)).float()
    if name == "classification":
        prediction = torch.tensor(SHARES[:, :2] + 1e-3).float()
        prediction /= prediction.sum(1, keepdim=True)
        target = (torch.tensor(RNG.random(N)) < prediction[:, 1] ** torch.tensor(1 + WHOLE)).long()
    if name == "quantile":
        prediction = prediction[:, None] + torch.linspace(-1, 1, len(task.levels))  # type: ignore[arg-type]
    weight = torch.tensor(WHOLE).float()
    statistics = task.statistics(prediction, target)
    rows = torch.arange(N).repeat_interleave(torch.tensor(WHOLE))
    of_copies = {key: values[rows] for key, values in statistics.items()}
    decided = []
    for each in (with_weight(statistics, weight), of_copies, statistics):
        other = task.calibrated(each)
        decided.append(float(getattr(other, "margin" if name != "classification" else "threshold")))
    assert decided[0] == decided[1]
    assert decided[0] != decided[2]


def test_balanced_classes_are_balanced_by_weight() -> None:
    task = made("classification", LABELS, score="f1", class_weights="balanced")
    target, weight = np.array([0, 0, 0, 1]), np.array([1, 1, 1, 9.0])
    task.learn({"target": target, SAMPLE_WEIGHT: weight}, held_out=9)
    assert task.class_weights.tolist() == pytest.approx([2.0, 12 / 18])  # type: ignore[union-attr]


# intervals


def of_rows(statistics: Statistics) -> Tensor:
    return errors.mae(statistics["prediction"], statistics["target"], statistics.get(SAMPLE_WEIGHT))


def of_sums(sums: Statistics) -> Tensor:
    return sums["error"] / sums["one"]


def scored(additive: bool, weight: Tensor | None, rows: Tensor | None = None) -> Resampled:
    """The mean absolute error with its interval, of rows or of sums, and clusters of three."""
    clusters = torch.arange(N) // 3
    prediction, target = EXPECTED_T, COUNTS_T
    statistics = {"prediction": prediction, "target": target}
    if additive:
        error = (prediction - target).abs()
        statistics = {"error": error, "one": torch.ones_like(error)}
    statistics = with_weight(statistics, weight)
    if rows is not None:
        statistics = {key: values[rows] for key, values in statistics.items()}
        clusters, weight = clusters[rows], None if weight is None else weight[rows]
    draws = Resamples(clusters, 300, 0, weight)
    metrics = {"mae": of_sums if additive else of_rows}
    return intervals(metrics, {"a": statistics}, draws, additive=additive)["a"]["mae"]


@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.fault(74)
def test_an_interval_holds_the_weighted_score_of_each_test_set(additive: bool) -> None:
    found = scored(additive, WEIGHT_T)
    kept = torch.tensor(np.flatnonzero(WEIGHT))
    draws = Resamples((torch.arange(N) // 3)[kept], 300, 0)
    error = np.abs(EXPECTED - COUNTS)
    expected = [np.average(error[kept[rows]], weights=WEIGHT[kept[rows]]) for rows in draws.rows()]
    np.testing.assert_allclose(found.values, expected, rtol=1e-9)
    assert found.interval.value == pytest.approx(np.average(error, weights=WEIGHT))


@pytest.mark.parametrize("additive", [True, False])
@pytest.mark.fault(74)
def test_rows_that_weigh_nothing_change_no_interval(additive: bool) -> None:
    kept = torch.tensor(np.flatnonzero(WEIGHT))
    with_them, without = scored(additive, WEIGHT_T), scored(additive, WEIGHT_T, kept)
    np.testing.assert_allclose(with_them.values, without.values, rtol=1e-12)
    assert with_them.units == without.units


@pytest.mark.parametrize("additive", [True, False])
def test_equal_weights_give_the_interval_without_weights(additive: bool) -> None:
    with_them, without = scored(additive, torch.full((N,), 3.0)), scored(additive, None)
    np.testing.assert_allclose(with_them.values, without.values, rtol=1e-12)
    assert with_them.units == without.units == 67


def test_a_score_that_is_sorted_once_keeps_weights_in_every_test_set() -> None:
    task = made("classification", spec("class", K, Field((), "int64", labels=tuple("abcd"))))
    statistics = with_weight({"prediction": SHARES_T, "target": TARGET_T}, WEIGHT_T)
    score = task.metrics()["auroc"]
    draws = Resamples(torch.arange(N), 20, 0, WEIGHT_T)
    found = intervals({"auroc": score}, {"a": statistics}, draws, additive=False)
    for value, rows in zip(found["a"]["auroc"].values, draws.rows(), strict=True):
        drawn = {key: values[rows] for key, values in statistics.items()}
        assert value == pytest.approx(float(score(drawn)), rel=1e-9)
        truth, shares = TARGET[rows.numpy()], SHARES[rows.numpy()]
        expected = np.mean(
            [
                sklearn.roc_auc_score(truth == k, shares[:, k], sample_weight=WEIGHT[rows.numpy()])
                for k in range(K)
            ]
        )
        assert value == pytest.approx(expected, rel=1e-6)


def test_few_rows_that_weigh_nearly_all_are_too_few_to_tell() -> None:
    weight = torch.ones(N)
    weight[:5] = 1000
    network = {"mae": scored(False, weight)}
    assert network["mae"].units == 2
    said = verdict(
        "mae",
        "min",
        network,
        {"old method": ("strong", network)},
        drawn=67,
        weighed_by="persons",
    )
    assert said.too_few == "test has 67 samples, by their weights worth 2, it takes 30"
    assert said.text.endswith("scores weigh rows by 'persons'")


def test_several_labels_learn_by_weight() -> None:
    task = made("multilabel", SEVERAL, score="f1_micro")
    train = {"target": np.array([[1.0, 0, 0, 1], [0, 0, 1, 1]]), SAMPLE_WEIGHT: np.array([3.0, 1])}
    (shares,) = task.trivial(train, {}, 2).values()
    assert shares[0].tolist() == [0.75, 0.0, 0.25, 1.0]

"""What a small test set cannot tell is not told: no interval of width zero, no winner of few."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import binomtest
from small_tasks import NUMBER, made, spec

from goodfit.contract import Field
from goodfit.evaluation.bootstrap import Resampled, Resamples, compare, interval, intervals
from goodfit.evaluation.verdict import verdict
from goodfit.records import FEWEST_UNITS

pytestmark = pytest.mark.fault(58)
SHARES = {"share": lambda statistics: statistics["hit"].float().mean()}
SUMS = {"share": lambda sums: sums["hit"] / sums["one"]}


def shares(
    *hits: list[int], clusters: list[int] | None = None, additive: bool = False
) -> list[Resampled]:
    """The share of hits of each method on the same samples, drawn a thousand times."""
    count = len(hits[0])
    draws = Resamples(torch.tensor(clusters or list(range(count))), 1000, seed=0)
    methods = {}
    for index, hit in enumerate(hits):
        one = torch.ones(count)
        methods[str(index)] = {"hit": torch.tensor(hit, dtype=torch.float64), "one": one}
    metrics = SUMS if additive else SHARES
    scores = intervals(metrics, methods, draws, additive=additive, ranges={"share": (0, 1)})
    return [scores[str(index)]["share"] for index in range(len(hits))]


@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("count", [1, 2, 40, 1000])
@pytest.mark.parametrize("hit", [0, 1])
def test_where_all_samples_are_alike_the_interval_is_the_exact_one(
    hit: int, count: int, additive: bool
) -> None:
    (drawn,) = shares([hit] * count, additive=additive)
    exact = binomtest(hit * count, count).proportion_ci(0.95, method="exact")
    said = (drawn.interval.low, drawn.interval.high)
    assert said == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_where_samples_differ_the_interval_is_that_of_the_draws() -> None:
    (drawn,) = shares([1] * 90 + [0] * 10)
    assert drawn.interval == interval(drawn.interval.value, drawn.values, 100)


def test_it_is_clusters_that_count_not_their_samples() -> None:
    clusters = [index // 100 for index in range(400)]
    (drawn,) = shares([1] * 400, clusters=clusters)
    exact = binomtest(4, 4).proportion_ci(0.95, method="exact")
    assert drawn.interval.low == pytest.approx(exact.low)


def test_no_score_of_a_constant_answer_has_a_width_of_zero() -> None:
    """Right or wrong, bounded or not."""
    target = torch.zeros(50, dtype=torch.long)
    sure = torch.tensor([[0.9, 0.1]]).repeat(50, 1)
    numbers = {"prediction": torch.full((50,), 3.0), "target": torch.full((50,), 5.0)}
    right = {"prediction": numbers["target"], "target": numbers["target"]}
    draws = Resamples(torch.arange(50), 100, seed=0)
    classes = spec("class", 2, Field((), "int64", labels=("a", "b")))
    of_classes = {"a": {"prediction": sure, "target": target}}
    for task, methods in (
        (made("classification", classes), of_classes),
        (made("regression", NUMBER), {"a": numbers}),
        (made("regression", NUMBER), {"a": right}),
    ):
        scores = intervals(
            task.metrics(),
            methods,
            draws,
            additive=False,
            ranges=task.ranges,
        )
        for name, score in scores["a"].items():
            interval = score.interval
            assert interval.low < interval.high, name
            assert interval.low <= interval.value <= interval.high, name
            least, most = task.ranges[name]
            assert least - 1e-9 <= interval.low, name
            assert interval.high <= most + 1e-9, name


def test_of_a_single_test_row_every_score_can_be_computed() -> None:
    one = {"prediction": torch.tensor([3.0]), "target": torch.tensor([5.0])}
    for score in made("regression", NUMBER).metrics().values():
        assert math.isfinite(float(score(one)))


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome"),
    [(0, 0, 0), (1, 0, 0), (4, 0, 0), (5, 0, 0), (8, 0, 1), (12, 2, 1), (20, 15, 0), (0, 8, -1)],
)
def test_a_few_answers_that_one_method_has_right_are_no_evidence(
    mine: int, theirs: int, outcome: int
) -> None:
    """`mine` samples that only the first has right, `theirs` that only the second: a sign test.

    4 against none excludes zero in 98 % of test sets, and a coin falls so in one of eight tries.
    """
    rest = 891 - mine - theirs
    first = [1] * mine + [0] * theirs + [1, 0, 1] * (rest // 3) + [1] * (rest % 3)
    second = [0] * mine + [1] * theirs + [1, 0, 1] * (rest // 3) + [1] * (rest % 3)
    told, difference = compare(*shares(first, second), "max")
    assert told == outcome
    if outcome:
        assert binomtest(mine, mine + theirs).pvalue < 0.05
    assert difference.low < difference.high


def test_two_methods_that_make_no_error_differ_by_nothing_that_is_sure() -> None:
    told, difference = compare(*shares([1] * 40, [1] * 40), "max")
    assert (told, difference.value) == (0, 0.0)
    assert difference.low < -0.05
    assert difference.high > 0.05


@pytest.mark.parametrize("count", [1, 2, FEWEST_UNITS - 1, FEWEST_UNITS])
def test_of_too_few_units_none_is_better_or_worse(count: int) -> None:
    ours, theirs = shares([1] * count, [0] * count)
    baselines = {"old": ("strong", {"share": theirs}), "chance": ("trivial", {"share": theirs})}
    said = verdict("share", "max", {"share": ours}, baselines, unit="film")  # type: ignore[arg-type]
    if count >= FEWEST_UNITS:
        assert (said.word, said.too_few, said.not_shown) == ("beats", None, [])
        return
    films = "film" if count == 1 else "films"
    assert said.word == "too few to tell"
    assert said.too_few == f"test has {count} {films}, it takes 30"
    assert said.text.startswith(f"too few to tell (test has {count} {films}, it takes 30) whether ")
    assert {item.outcome for item in said.against} == {0}
    assert said.not_shown == ["chance"]

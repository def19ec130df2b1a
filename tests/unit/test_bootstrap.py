"""Intervals are as wide as theory says, and comparing is fair."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binom

from goodfit.evaluation.bootstrap import Resampled, Resamples, compare, interval, intervals
from goodfit.records import Interval

N = 400
ALONE = torch.arange(N)  # each sample is a cluster
METRICS = {"accuracy": lambda s: (s["prediction"].argmax(1) == s["target"]).float().mean()}


def answers(share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions of which exactly this share is right."""
    target = torch.randint(2, (N,), generator=torch.Generator().manual_seed(seed))
    shuffled = torch.randperm(N, generator=torch.Generator().manual_seed(seed + 1))
    wrong = shuffled[: round((1 - share) * N)]
    predicted = target.clone()
    predicted[wrong] = 1 - predicted[wrong]
    return torch.nn.functional.one_hot(predicted, 2).float(), target


def scored(prediction: torch.Tensor, target: torch.Tensor, draws: Resamples) -> Resampled:
    """The accuracy with its interval."""
    statistics = {"prediction": prediction, "target": target}
    return intervals(METRICS, {"a": statistics}, draws, additive=False)["a"]["accuracy"]


def rows_of(draws: Resamples) -> torch.Tensor:
    """All test sets, where they are of one size."""
    return torch.stack(list(draws.rows()))


def two_methods() -> tuple[Resampled, Resampled]:
    """Of 90 % and 75 % accuracy, on the same targets and resampled test sets."""
    better, target = answers(0.9, 0)
    worse, _ = answers(0.75, 0)
    draws = Resamples(ALONE, 500, 0)
    first = scored(better, target, draws)
    second = scored(worse, target, draws)
    return first, second


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_the_interval_of_a_share_is_the_binomial_one(share: float) -> None:
    prediction, target = answers(share, 0)
    drawn = scored(prediction, target, Resamples(ALONE, 4000, 0)).interval
    low, high = binom.ppf([0.025, 0.975], N, share) / N
    assert (drawn.value, drawn.low, drawn.high) == pytest.approx((share, low, high), abs=0.006)


def test_equal_seeds_draw_the_same_test_sets() -> None:
    assert torch.equal(*(rows_of(Resamples(ALONE, 20, 3)) for _ in range(2)))


def test_comparing_is_antisymmetric() -> None:
    first, second = two_methods()
    outcome, difference = compare(first, second, "max")
    reverse_outcome, reverse = compare(second, first, "max")
    assert outcome == -reverse_outcome == 1
    assert difference.value == -reverse.value
    assert (difference.low, difference.high) == pytest.approx((-reverse.high, -reverse.low))


def test_a_lower_score_is_better_where_less_is_better() -> None:
    first, second = two_methods()
    assert compare(first, second, "min")[0] == -1


def test_a_method_ties_with_itself_by_exactly_zero() -> None:
    prediction, target = answers(0.8, 0)
    drawn = scored(prediction, target, Resamples(ALONE, 200, 0))
    assert compare(drawn, drawn, "max") == (0, Interval(0.0, 0.0, 0.0))


def test_what_is_hard_for_both_cancels() -> None:
    """Right wherever the other is and on 8 more samples: certain, though the intervals overlap."""
    prediction, target = answers(0.8, 0)
    better = prediction.clone()
    wrong = (prediction.argmax(1) != target).nonzero().flatten()[:8]
    better[wrong] = better[wrong].flip(1)
    draws = Resamples(ALONE, 1000, 0)
    first, second = (scored(p, target, draws) for p in (better, prediction))
    assert first.interval.low < second.interval.high
    assert compare(first, second, "max")[0] == 1


def test_the_interval_holds_95_percent_of_the_values() -> None:
    values = torch.linspace(0, 1, 1001).numpy()
    central = interval(0.5, values)
    assert (central.low, central.high) == pytest.approx((0.025, 0.975))


def test_where_each_sample_is_a_cluster_it_is_the_plain_bootstrap() -> None:
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(
        rows_of(Resamples(ALONE, 5, 7)), torch.randint(N, (5, N), generator=generator)
    )


def test_a_cluster_is_drawn_with_all_of_its_samples() -> None:
    clusters = torch.tensor([4, 2, 4, 9, 2, 4])
    members_of = {4: [0, 2, 5], 2: [1, 4], 9: [3]}
    sizes = set()
    for rows in Resamples(clusters, 50, 0).rows():
        drawn = clusters[rows].tolist()
        sizes.add(len(drawn))
        for cluster, members in members_of.items():
            times = drawn.count(cluster) / len(members)
            assert times == int(times)
            for row in members:
                assert rows.tolist().count(row) == times
        assert sum(drawn.count(cluster) / len(members_of[cluster]) for cluster in members_of) == 3
    assert len(sizes) > 1


def test_samples_that_repeat_each_other_make_no_interval_narrower() -> None:
    """Ten copies of each answer are as good as one: the interval is that of the tenth part."""
    prediction, target = answers(0.8, 0)
    copies = torch.arange(N).repeat_interleave(10)
    once = scored(prediction, target, Resamples(ALONE, 1000, 0)).interval
    tenfold = (prediction[copies], target[copies])
    clustered = scored(*tenfold, Resamples(copies, 1000, 0)).interval
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high), abs=1e-6)
    alone = scored(*tenfold, Resamples(torch.arange(10 * N), 1000, 0)).interval
    assert alone.high - alone.low < 0.4 * (once.high - once.low)

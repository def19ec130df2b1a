"""Intervals are as wide as theory says, and comparing is fair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom
from small_tasks import NUMBER, made

from goodfit.evaluation import bootstrap
from goodfit.evaluation.bootstrap import Resampled, Resamples, compare, intervals
from goodfit.task.scores import MeanScore, with_weight

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


def test_a_method_ties_with_itself_and_another_test_set_may_differ() -> None:
    prediction, target = answers(0.8, 0)
    drawn = scored(prediction, target, Resamples(ALONE, 200, 0))
    outcome, difference = compare(drawn, drawn, "max")
    assert (outcome, difference.value) == (0, 0.0)
    assert -0.02 < difference.low < 0 < difference.high < 0.02


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


CLUSTERS = torch.randint(60, (N,), generator=torch.Generator().manual_seed(5))
SUMS = {"accuracy": lambda sums: sums["right"] / sums["samples"]}


@pytest.mark.parametrize("clusters", [ALONE, CLUSTERS])
def test_counts_are_those_of_the_rows(clusters: torch.Tensor) -> None:
    draws = Resamples(clusters, 30, 0)
    counts = torch.cat(list(draws.counts()))
    _, number, sizes = torch.unique(clusters, return_inverse=True, return_counts=True)
    for row, rows in zip(counts, draws.rows(), strict=True):
        drawn = torch.bincount(number[rows], minlength=len(sizes)) / sizes
        assert torch.equal(row, drawn.double())


@pytest.mark.parametrize("block", [1, 130, 10**9])
def test_the_draws_do_not_depend_on_how_many_are_in_memory(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = torch.cat(list(Resamples(CLUSTERS, 30, 0).counts()))
    rows = list(Resamples(CLUSTERS, 30, 0).rows())
    monkeypatch.setattr(bootstrap, "_BLOCK", block)
    assert torch.equal(torch.cat(list(Resamples(CLUSTERS, 30, 0).counts())), whole)
    again = list(Resamples(CLUSTERS, 30, 0).rows())
    assert all(torch.equal(*pair) for pair in zip(rows, again, strict=True))


@pytest.mark.slow
def test_draws_of_a_million_samples_are_never_all_in_memory() -> None:
    draws = Resamples(torch.arange(1_000_000), 1000, 0)
    assert len(draws) == 1000
    assert next(draws.counts()).numel() <= 2_000_000
    assert next(draws.rows()).shape == (1_000_000,)


@pytest.mark.parametrize("clusters", [ALONE, CLUSTERS])
def test_sums_give_the_intervals_of_rows(clusters: torch.Tensor) -> None:
    draws = Resamples(clusters, 200, 0)
    rows, sums = {}, {}
    for title, share in (("a", 0.9), ("b", 0.7)):
        prediction, target = answers(share, 0)
        right = (prediction.argmax(1) == target).float()
        rows[title] = {"prediction": prediction, "target": target}
        sums[title] = {"right": right, "samples": torch.ones(N)}
    by_row = intervals(METRICS, rows, draws, additive=False)
    by_sum = intervals(SUMS, sums, draws, additive=True)
    for title in rows:
        one, other = by_row[title]["accuracy"], by_sum[title]["accuracy"]
        assert np.allclose(one.values, other.values, rtol=1e-6, atol=0)
        assert one.interval.value == pytest.approx(other.interval.value, rel=1e-6)


def test_statistics_of_several_dimensions_are_summed_each_by_itself() -> None:
    table = torch.randn(N, 2, 3, dtype=torch.float64)
    flat = torch.randn(N, dtype=torch.float64)
    draws = Resamples(CLUSTERS, 20, 0)
    metrics = {
        "corner": lambda sums: sums["table"][:, 1, 2],
        "flat": lambda sums: sums["flat"],
    }
    drawn = intervals(metrics, {"a": {"table": table, "flat": flat}}, draws, additive=True)["a"]
    for index, rows in enumerate(draws.rows()):
        assert drawn["corner"].values[index] == pytest.approx(float(table[rows, 1, 2].sum()))
        assert drawn["flat"].values[index] == pytest.approx(float(flat[rows].sum()))


def bleu(sums: dict[str, torch.Tensor]) -> torch.Tensor:
    """Corpus BLEU (R,) in percent of sums (R, 10), none of them 0 (Papineni et al. 2002)."""
    said, true, *counts = sums["bleu"].unbind(1)
    hits, all_ngrams = torch.stack(counts[:4], 1), torch.stack(counts[4:], 1)
    brevity = (1 - true / said).clamp_max(0).exp()
    return 100 * brevity * (hits / all_ngrams).log().mean(1).exp()


def chrf(sums: dict[str, torch.Tensor]) -> torch.Tensor:
    """Corpus chrF (R,) in percent of sums (R, 6, 3), beta 2 (Popovic 2015)."""
    said, true, hits = sums["chrf"].unbind(2)
    precision, recall = (hits / said).mean(1), (hits / true).mean(1)
    return 100 * 5 * precision * recall / (4 * precision + recall)


def texts(samples: int, seed: int) -> tuple[list[str], list[str]]:
    """Sentences of a small language, and the same with some words changed."""
    generator = np.random.default_rng(seed)
    words = np.array(["house", "tree", "river", "open", "close", "green", "the", "a", "to", "file"])
    said, true = [], []
    for length in generator.integers(5, 15, samples):
        sentence = generator.choice(words, length)
        true.append(" ".join(sentence))
        changed = generator.random(length) < 0.3
        said.append(" ".join(np.where(changed, generator.choice(words, length), sentence)))
    return said, true


def test_scores_of_a_corpus_on_resampled_test_sets_are_those_of_sacrebleu() -> None:
    """From 10 and 18 sums, where sacrebleu reads the drawn texts themselves."""
    sacrebleu = pytest.importorskip("sacrebleu")
    said, true = texts(N, 0)
    statistics = {}
    for name, metric in (("bleu", sacrebleu.BLEU()), ("chrf", sacrebleu.CHRF())):
        rows = metric._extract_corpus_statistics(said, [true])
        statistics[name] = torch.tensor(rows, dtype=torch.float64)
    statistics["chrf"] = statistics["chrf"].reshape(N, 6, 3)

    draws = Resamples(CLUSTERS, 3, 0)
    metrics = {"bleu": bleu, "chrf": chrf}
    drawn = intervals(metrics, {"a": statistics}, draws, additive=True)["a"]
    for index, rows in enumerate(draws.rows()):
        hypotheses = [said[row] for row in rows.tolist()]
        references = [[true[row] for row in rows.tolist()]]
        for name, function in (
            ("bleu", sacrebleu.corpus_bleu),
            ("chrf", sacrebleu.corpus_chrf),
        ):
            expected = function(hypotheses, references).score
            assert drawn[name].values[index] == pytest.approx(expected, rel=1e-9), name


@pytest.mark.parametrize("weight", [None, torch.rand(60, generator=torch.Generator())])
@pytest.mark.parametrize(("name", "score"), [("regression", "rmse"), ("regression", "mae")])
def test_scores_of_means_have_the_values_that_rows_give(
    name: str, score: str, weight: torch.Tensor | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 60, generator=generator)
    statistics = with_weight({"prediction": prediction, "target": target}, weight)
    task = made(name, NUMBER)
    draws = Resamples(torch.arange(60) // 4, 50, 0, weight)
    by_mean = task.metrics()[score]
    assert isinstance(by_mean, MeanScore)
    found = [
        intervals({score: each}, {"a": statistics}, draws, additive=False)["a"][score]
        for each in (by_mean, by_mean.whole)
    ]
    assert found[0].values == pytest.approx(found[1].values, rel=1e-5)
    assert found[0].interval.value == found[1].interval.value
    assert found[0].interval.low == pytest.approx(found[1].interval.low, rel=1e-5)


def test_an_accuracy_is_a_mean_of_right_answers() -> None:
    prediction, target = answers(0.8, 3)
    statistics = {"prediction": prediction, "target": target}
    by_mean = MeanScore(METRICS["accuracy"], lambda s: s["prediction"].argmax(1) == s["target"])
    draws = Resamples(ALONE // 3, 200, 0)
    one, other = (
        intervals({"accuracy": score}, {"a": statistics}, draws, additive=False)["a"]["accuracy"]
        for score in (by_mean, METRICS["accuracy"])
    )
    assert one.values == pytest.approx(other.values, abs=1e-6)

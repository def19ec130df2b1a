"""Texts that a network writes: how they are searched, and what they score."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import sacrebleu
import texts
import torch
from torch import Tensor

from goodfit.contract import END, PAD
from goodfit.model.seq2seq import Seq2Seq
from goodfit.records import Statement
from goodfit.task.beam import Cache, search
from goodfit.task.generation import Generation
from goodfit.task.scores import Statistics

SOURCE = texts.padded(texts.SOURCES)
TRUE = texts.targets(texts.TARGETS)
SAID = ["Ouvre le fichier.", "Ferme la porte.", "Ouvre la nouvelle fenêtre.", ""]


def task(trained: int = 0, **changes: object) -> Generation:
    """A task with a small network, after some steps on the four pairs."""
    torch.manual_seed(0)
    network = Seq2Seq(texts.spec(), width=32, heads=4, blocks=1, dropout=0.0, stochastic_depth=0.0)
    options = {"label_smoothing": 0.1, "beams": 1, "length_penalty": 1.0} | changes
    parts = {"monitor": "loss", "score": "chrf", "optimizer": None, "schedule": None}
    made = Generation(network, texts.spec(), **parts, **options)  # type: ignore[arg-type]

    optimizer = torch.optim.Adam(made.parameters(), 1e-2)
    for _ in range(trained):
        loss = made.loss(made.run({"source": SOURCE}, TRUE), **TRUE).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return made.eval().requires_grad_(False)


def sums(statistics: Statistics) -> Statistics:
    """As a split has them: one row of sums."""
    return {name: values.sum(0, keepdim=True) for name, values in statistics.items()}


def greedy(made: Generation, length: int) -> Tensor:
    """The likeliest token at each place, from `forward` and without a cache."""
    previous = torch.full((len(SOURCE), 1), END)
    for _ in range(length):
        logits = made.model(SOURCE, previous)[:, -1]
        logits[:, PAD] = -math.inf
        previous = torch.cat([previous, logits.argmax(-1, keepdim=True)], 1)
    written = previous[:, 1:]
    behind = (written == END).cumsum(1) - (written == END).long() > 0
    return written.masked_fill(behind, PAD)


@pytest.mark.parametrize("trained", [0, 8, 25])
def test_a_beam_of_one_is_the_likeliest_token_each_time(trained: int) -> None:
    made = task(trained)
    written = made.infer({"source": SOURCE})
    assert torch.equal(written, greedy(made, 24))


@pytest.mark.slow
def test_a_network_that_has_learned_its_texts_writes_them() -> None:
    for beams in (1, 3):
        made = task(60, beams=beams)
        assert made.decode(made.infer({"source": SOURCE}))["text"].tolist() == texts.TARGETS


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_a_text_does_not_depend_on_the_others_of_the_batch(beams: int) -> None:
    made = task(12, beams=beams)
    together = made.decode(made.infer({"source": SOURCE}))["text"].tolist()
    for row, text in enumerate(together):
        alone = made.infer({"source": SOURCE[row : row + 1]})
        assert made.decode(alone)["text"].tolist() == [text]


def table(
    rows: dict[tuple[int, ...], dict[int, float]], tokens: Tensor, cache: Cache
) -> tuple[Tensor, Cache]:
    """The step of a network that is a table: from the tokens so far to probabilities."""
    said = torch.cat([*cache, tokens[:, None]], 1)
    logits = torch.full((len(tokens), 6), 1e-9)
    for row, text in enumerate(said.tolist()):
        for token, probability in rows.get(tuple(text[1:]), {END: 1.0}).items():
            logits[row, token] = probability
    return logits.log(), (said,)


# 3 looks better at first, 4 is better in the end
ROWS = {
    (): {3: 0.6, 4: 0.4},
    (3,): {3: 0.5, 4: 0.3, 5: 0.2},
    (4,): {5: 1.0},
    (4, 5): {END: 1.0},
    (3, 3): {END: 0.9, 5: 0.1},
    (3, 4): {END: 0.8, 5: 0.2},
}


@pytest.mark.parametrize(
    ("beams", "expected"), [(1, [3, 3, END]), (2, [4, 5, END]), (5, [4, 5, END])]
)
def test_a_wider_beam_finds_the_likelier_text(beams: int, expected: list[int]) -> None:
    """Of likelihood 0.4 against 0.27."""
    step = partial(table, ROWS)
    written = search(
        step, 2, beams=beams, longest=9, length_penalty=1.0, device=torch.device("cpu")
    )
    assert written[:, :3].tolist() == [expected, expected]
    assert int(written[:, 3:].sum()) == PAD


@pytest.mark.parametrize(("penalty", "expected"), [(0.0, [3, END]), (1.0, [4, 5, 5, END])])
def test_without_a_length_penalty_the_shorter_text_wins(
    penalty: float, expected: list[int]
) -> None:
    """ln 0.5 / 2 is less than ln 0.4 / 4, though 0.5 is more than 0.4."""
    rows = {(): {3: 0.5, 4: 0.4}, (4,): {5: 1.0}, (4, 5): {5: 1.0}}
    step = partial(table, rows)
    written = search(
        step, 1, beams=2, longest=9, length_penalty=penalty, device=torch.device("cpu")
    )
    assert [token for token in written[0].tolist() if token != PAD] == expected


def test_a_search_that_is_over_is_not_opened_again_while_others_go_on() -> None:
    """4 5 would be the better text in the end, but the search for the first sample ended before."""
    tables = (
        {(): {END: 0.5, 4: 0.4}, (4,): {5: 1.0}},
        {(3,) * length: {3: 1.0} for length in range(6)},
    )

    def step(tokens: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        rows = []
        for sample, rows_of in enumerate(tables):
            past = tuple(tensor[sample : sample + 1] for tensor in cache)
            rows.append(table(rows_of, tokens[sample : sample + 1], past))
        logits, caches = zip(*rows, strict=True)
        return torch.cat(logits), (torch.cat([said for (said,) in caches]),)

    options = {"beams": 1, "longest": 9, "length_penalty": 1.0, "device": torch.device("cpu")}
    first, second = search(step, 2, **options).tolist()  # type: ignore[arg-type]
    assert first == [END] + [PAD] * 8
    assert second == [3] * 6 + [END] + [PAD] * 2


def test_a_text_without_an_end_is_cut_at_the_longest_of_train() -> None:
    rows = {(3,) * length: {3: 1.0} for length in range(9)}
    step = partial(table, rows)
    for beams in (1, 2):
        written = search(
            step, 1, beams=beams, longest=5, length_penalty=1.0, device=torch.device("cpu")
        )
        assert written.tolist() == [[3] * 5]


def test_the_scores_of_sums_are_those_of_sacrebleu() -> None:
    made = task()
    statistics = made.statistics(texts.padded(SAID), **TRUE)
    assert {name: tuple(values.shape) for name, values in statistics.items()} == {
        "chrf": (4, 18),
        "bleu": (4, 10),
        "exact": (4,),
        "texts": (4,),
    }
    scores = {name: score(sums(statistics)) for name, score in made.metrics().items()}
    references = [texts.TARGETS]
    assert float(scores["chrf"]) == pytest.approx(
        sacrebleu.corpus_chrf(SAID, references).score, rel=1e-12
    )
    assert float(scores["bleu"]) == pytest.approx(
        sacrebleu.corpus_bleu(SAID, references).score, rel=1e-12
    )
    assert scores["exact"].tolist() == [0.25]


def test_scores_of_several_sums_are_those_of_each() -> None:
    """As the resampled test sets have them; one of them holds an empty text alone."""
    made = task()
    statistics = made.statistics(texts.padded(SAID), **TRUE)
    draws = torch.tensor([[1, 1, 1, 1], [0, 3, 1, 0], [0, 0, 0, 2]], dtype=torch.float64)
    drawn = {}
    for name, values in statistics.items():
        drawn[name] = (draws @ values.reshape(4, -1)).reshape(3, *values.shape[1:])
    for name, score in made.metrics().items():
        assert score(drawn).shape == (3,), name
    said = [SAID[1]] * 3 + [SAID[2]]
    meant = [texts.TARGETS[1]] * 3 + [texts.TARGETS[2]]
    assert float(made.metrics()["chrf"](drawn)[1]) == pytest.approx(
        sacrebleu.corpus_chrf(said, [meant]).score
    )
    assert float(made.metrics()["bleu"](drawn)[1]) == pytest.approx(
        sacrebleu.corpus_bleu(said, [meant]).score
    )
    assert [float(score(drawn)[2]) for score in made.metrics().values()] == [0.0, 0.0, 0.0]


def test_the_loss_is_summed_over_the_tokens_that_are_there() -> None:
    """Whatever stands behind the end, and whatever the batch is padded to."""
    made = task()
    output = made.run({"source": SOURCE}, TRUE)
    loss = made.loss(output, **TRUE)
    for row, text in enumerate(texts.TARGETS):
        tokens = texts.tokens(text)
        expected = -output[row].log_softmax(-1)[range(len(tokens)), tokens].sum()
        torch.testing.assert_close(loss[row], expected)
    assert made.units(**TRUE).tolist() == [float(len(texts.tokens(text))) for text in texts.TARGETS]

    wider = {**TRUE, "text": torch.nn.functional.pad(TRUE["text"], (0, 5), value=PAD)}
    again = made.loss(made.run({"source": SOURCE}, wider), **wider)
    torch.testing.assert_close(again, loss, rtol=1e-4, atol=1e-4)


def test_labels_are_smoothed_in_training_alone() -> None:
    made = task()
    output = made.run({"source": SOURCE}, TRUE)
    calm = made.loss(output, **TRUE)
    smoothed = made.train().loss(output, **TRUE)
    likelihoods = output.log_softmax(-1)
    uniform = torch.stack(
        [
            -likelihoods[row, : len(texts.tokens(t))].mean(-1).sum()
            for row, t in enumerate(texts.TARGETS)
        ]
    )
    torch.testing.assert_close(smoothed, 0.9 * calm + 0.1 * uniform)


def test_what_is_watched_is_perplexity_and_the_share_of_tokens() -> None:
    made = task(10)
    output = made.run({"source": SOURCE}, TRUE)
    of_all = sums(made.watch(output, **TRUE))
    scores = {name: float(score(of_all)) for name, score in made.watch_metrics().items()}
    assert set(scores) == set(made.watched)

    mean = float(made.loss(output, **TRUE).sum() / made.units(**TRUE).sum())
    assert scores["perplexity"] == pytest.approx(math.exp(mean), rel=1e-5)
    hits = 0
    for row, text in enumerate(texts.TARGETS):
        for place, token in enumerate(texts.tokens(text)):
            hits += int(output[row, place].argmax()) == token
    assert 0 < hits < int(TRUE["text_length"].sum())
    assert scores["token_accuracy"] == pytest.approx(hits / int(TRUE["text_length"].sum()))


def test_the_network_is_fed_the_true_tokens_one_place_later() -> None:
    """The first place sees END, and the last token is fed to nobody."""
    made = task()
    output = made.run({"source": SOURCE}, TRUE)
    start = torch.full((4, 1), END)
    previous = torch.cat([start, TRUE["text"]], 1)[:, :-1]
    assert torch.equal(output, made.model(SOURCE, previous))
    changed = TRUE["text"].clone()
    changed[:, -1] = 9
    assert torch.equal(made.run({"source": SOURCE}, {**TRUE, "text": changed}), output)


def test_copying_the_source_is_a_text_that_is_scored_like_any_other() -> None:
    made = task()
    ragged = [np.array(texts.tokens(text)) for text in texts.SOURCES]
    for inputs in ({"source": ragged}, {"source": SOURCE.numpy()}):
        (copied,) = made.trivial({}, inputs, 4).values()  # type: ignore[arg-type]
        assert made.decode(torch.from_numpy(copied))["text"].tolist() == texts.SOURCES


def test_an_answer_holds_both_texts_up_to_their_ends() -> None:
    made = task()
    answer = made.answer(texts.padded(SAID)[1], TRUE["text"][1], TRUE["text_length"][1])
    assert answer.statements == (
        Statement("truth", "Ferme la fenêtre."),
        Statement("network", "Ferme la porte."),
    )
    assert answer.wrong is None


def test_the_chart_tells_the_score_of_short_and_of_long_texts() -> None:
    """Four groups of one text each, by the words of the true one."""
    made = task()
    network = made.statistics(TRUE["text"], **TRUE)
    copied = made.statistics(SOURCE, **TRUE)
    (chart,) = made.diagnose({"network": network, "copy": copied})
    assert chart.data["x"] == sorted(network["bleu"][:, 1].tolist())
    curves = dict(chart.data["curves"])
    assert curves["network"] == pytest.approx([100.0] * 4)
    assert max(curves["copy"]) < 60


def test_no_sample_is_written_no_text() -> None:
    for beams in (1, 3):
        made = task(beams=beams)
        written = made.infer({"source": SOURCE[:0]})
        assert made.decode(written).columns.tolist() == ["text"]
        assert len(written) == 0
        nothing = made.infer({"source": SOURCE[:0, :0]})
        assert len(made.decode(nothing)) == 0

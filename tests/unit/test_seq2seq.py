"""An encoder and decoder that writes the same token by token as it reads all at once."""

from __future__ import annotations

import pytest
import texts
import torch
from torch import Tensor

from goodfit.contract import END, PAD
from goodfit.errors import UserError
from goodfit.model.seq2seq import Cache, Seq2Seq, sines

SOURCE = texts.padded(texts.SOURCES)  # (4, S)
PREVIOUS = texts.padded(texts.TARGETS).roll(1, 1)  # (4, T), of any tokens


def network(**changes: object) -> Seq2Seq:
    options = {
        "width": 32,
        "heads": 4,
        "blocks": 2,
        "dropout": 0.0,
        "stochastic_depth": 0.0,
    } | changes
    torch.manual_seed(0)
    return Seq2Seq(texts.spec(), **options).eval()  # type: ignore[arg-type]


def steps(made: Seq2Seq, previous: Tensor) -> Tensor:
    """Logits (N, T, V) of tokens (N, T) that are given one by one."""
    memory = made.read(SOURCE)
    cache: Cache = ()
    logits = []
    for place in range(previous.shape[1]):
        of_step, cache = made.step(previous[:, place], memory, cache)
        logits.append(of_step)
    return torch.stack(logits, 1)


def test_steps_with_a_cache_give_what_forward_gives_at_every_place() -> None:
    made = network()
    torch.testing.assert_close(steps(made, PREVIOUS), made(SOURCE, PREVIOUS), rtol=1e-4, atol=1e-5)


def test_several_hypotheses_of_a_source_are_followed_side_by_side() -> None:
    """Three of each source, and what is read of the sources is there once."""
    made = network()
    several = torch.stack([PREVIOUS, PREVIOUS.roll(1, 0), PREVIOUS.flip(1)], 1)  # (B, W, T)
    together = steps(made, several.flatten(0, 1)).unflatten(0, (4, 3))
    for hypothesis in range(3):
        alone = made(SOURCE, several[:, hypothesis])
        torch.testing.assert_close(together[:, hypothesis], alone, rtol=1e-4, atol=1e-5)
    assert {len(tensor) for tensor in made.read(SOURCE).crosses} == {4}


def test_hypotheses_change_places_with_the_rows_of_the_cache() -> None:
    made = network()
    memory = made.read(SOURCE)
    order = torch.tensor([1, 0, 3, 2, 4, 5, 7, 6])  # within the two of each source
    two = PREVIOUS.repeat_interleave(2, 0)
    two[1::2] = two[1::2].flip(1)
    _, cache = made.step(two[:, 0], memory, ())
    straight, _ = made.step(two[:, 1], memory, cache)
    moved: Cache = tuple(tensor[order] for tensor in cache)
    changed, _ = made.step(two[order, 1], memory, moved)
    assert not torch.allclose(changed, straight)
    torch.testing.assert_close(changed, straight[order], rtol=1e-4, atol=1e-5)


def test_no_place_knows_the_tokens_behind_it() -> None:
    made = network()
    other = PREVIOUS.clone()
    other[:, 5:] = END
    before, after = made(SOURCE, PREVIOUS), made(SOURCE, other)
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert not torch.allclose(after[:, 5:], before[:, 5:])


def test_padding_changes_nothing() -> None:
    made = network()
    wider = torch.nn.functional.pad(SOURCE, (0, 7), value=PAD)
    torch.testing.assert_close(made(wider, PREVIOUS), made(SOURCE, PREVIOUS), rtol=1e-4, atol=1e-5)


def test_a_text_longer_than_any_of_train_is_read_and_written() -> None:
    long = torch.full((1, 300), 7)
    assert network()(long, long).shape == (1, 300, texts.spec().outputs)


def test_every_source_token_counts_wherever_it_stands() -> None:
    made = network()
    swapped = SOURCE.clone()
    swapped[:, [0, 1]] = swapped[:, [1, 0]]
    assert not torch.allclose(made(swapped, PREVIOUS), made(SOURCE, PREVIOUS), atol=1e-4)


def test_sines_of_known_places() -> None:
    """Of width 4: wave lengths 2 pi and 200 pi."""
    values = sines(torch.tensor([0, 1]), 4)
    expected = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.841471, 0.0099998, 0.540302, 0.99995]])
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("width", "heads"), [(30, 4), (9, 3)])
def test_a_width_that_does_not_fit_is_refused(width: int, heads: int) -> None:
    with pytest.raises(UserError, match=rf"model\.width={width}.*model\.heads={heads}"):
        network(width=width, heads=heads)

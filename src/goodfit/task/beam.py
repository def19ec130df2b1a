"""Writes the likeliest texts that a network knows, token by token.

Letters: B samples, W hypotheses (beams) of each, N = B W, T tokens so far, V tokens of the
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from goodfit.contract import END, PAD

Cache = tuple[Tensor, ...]  # (N, ...) each
# the last tokens (N,) and a cache to logits (N, V) of the next ones and the cache after them
Step = Callable[[Tensor, Cache], tuple[Tensor, Cache]]


class _Best:
    """Of each sample the best text that has ended, and whether the search for it is over."""

    def __init__(self, samples: int, longest: int, device: torch.device) -> None:
        self.tokens = torch.full((samples, longest), PAD, device=device)
        self.score = torch.full((samples,), -torch.inf, device=device)
        self.ended = torch.zeros(samples, dtype=torch.long, device=device)
        self.done = torch.zeros(samples, dtype=torch.bool, device=device)

    def offer(self, texts: Tensor, score: Tensor) -> None:
        """Texts (B, W, T) with scores (B, W), minus infinity for one that has not ended."""
        best, which = score.max(1)
        better = torch.nonzero(~self.done & (best > self.score))[:, 0]
        self.score[better] = best[better]
        self.tokens[better, : texts.shape[2]] = texts[better, which[better]]
        self.ended += torch.isfinite(score).sum(1)

    def close(self, beams: int, score: Tensor) -> None:
        """Ends the search for samples with `beams` texts and nothing better among those to go on.

        `score` (B,) is that of the best one to go on. What was over stays so: a text then does not
        depend on how long the search takes for others of its batch.
        """
        self.done |= (self.ended >= beams) & (self.score >= score)


def search(
    step: Step,
    samples: int,
    *,
    beams: int,
    longest: int,
    length_penalty: float,
    device: torch.device,
) -> Tensor:
    """Texts (B, longest) that end with `END`, and `PAD` behind it; without END where it cut them.

    Beam search: at each token the `beams` likeliest texts of a sample go on, until as many have
    ended and none that goes on is better. Of those the one with the largest log likelihood /
    length ^ `length_penalty` is taken (Wu et al. 2016, equation 14, without its constants); without
    the division short texts win. With one beam it is the greedy search. `step` starts behind an
    `END` and with the cache ().
    """
    best = _Best(samples, longest, device)
    texts = torch.empty(samples, beams, 0, dtype=torch.long, device=device)
    # at first all hypotheses of a sample are equal: one of them is enough
    score = torch.full((samples, beams), -torch.inf, device=device)
    score[:, 0] = 0
    tokens = torch.full((samples * beams,), END, device=device)
    cache: Cache = ()

    for place in range(longest):
        logits, cache = step(tokens, cache)
        # twice as many as go on: at most half of them end, one for each hypothesis
        score, origin, token = _candidates(logits, score, 2 * beams)
        texts = torch.cat([_taken(texts, origin), token[:, :, None]], 2)
        ends = token == END
        normalized = score / (place + 1) ** length_penalty
        # an end behind `beams` better candidates would not have been followed either
        ended = normalized.masked_fill(~ends, -torch.inf)
        best.offer(texts[:, :beams], ended[:, :beams])

        # those that have not ended first, else by score: the sort is stable
        going_on = ends.long().argsort(dim=1, stable=True)[:, :beams]
        best.close(beams, normalized.gather(1, going_on)[:, 0])
        if bool(best.done.all()):
            break
        score, origin, token = (part.gather(1, going_on) for part in (score, origin, token))
        texts, tokens = _taken(texts, going_on), token.flatten()
        if beams > 1:
            first = torch.arange(samples, device=device)[:, None] * beams
            cache = tuple(tensor[(first + origin).flatten()] for tensor in cache)

    endless = torch.isinf(best.score)
    best.tokens[endless, : texts.shape[2]] = texts[endless, 0]
    return best.tokens


def _candidates(logits: Tensor, score: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best `count` texts of a token more, with score, hypothesis and token, (B, count) each.

    Of logits (N, V) and the scores (B, W) of the texts so far.
    """
    samples, beams = score.shape
    # in float32: sums over a text of numbers of 16 bits would tie
    log_likelihood = logits.float().log_softmax(-1)
    log_likelihood[:, PAD] = -torch.inf
    total = score[:, :, None] + log_likelihood.view(samples, beams, -1)
    best, index = total.flatten(1).topk(count)
    vocabulary = logits.shape[1]
    return best, index // vocabulary, index % vocabulary


def _taken(texts: Tensor, which: Tensor) -> Tensor:
    """The texts (B, W', T) of (B, W, T) at the numbers (B, W')."""
    return texts.gather(1, which[:, :, None].expand(-1, -1, texts.shape[2]))

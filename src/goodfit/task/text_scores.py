"""chrF and BLEU as sacrebleu computes them: functions of counts that add up over texts.

So the scores of an epoch, a split or a resampled test set are made of sums.

Letters: B texts, R sums, each over the texts of such a set.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from goodfit.system.extras import needs


def chrf_counts(said: Sequence[str], meant: Sequence[str]) -> Tensor:
    """The counts (B, 18) of texts against one reference each: said, meant and both, by n-gram.

    Of characters n = 1 .. 6 (Popovic 2015).

    Raises:
        UserError: the extra `text` is not installed.
    """
    with needs("text"):
        from sacrebleu.metrics.chrf import CHRF

    # private, and so is what `chrf` calls: the package pins sacrebleu's version
    counts = CHRF()._extract_corpus_statistics(said, [meant])
    return torch.tensor(counts, dtype=torch.float64).reshape(len(said), 18)


def chrf(counts: Tensor) -> Tensor:
    """The chrF2 (R,) of sums of `chrf_counts`, (R, 18): from 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    scores = [metric._compute_f_score(row) for row in counts.tolist()]
    return torch.tensor(scores, dtype=torch.float64)


def bleu_counts(said: Sequence[str], meant: Sequence[str]) -> Tensor:
    """The counts (B, 10) of texts against one reference each.

    The words of both, then of n-grams of words, n = 1 .. 4, those in both and those said (Papineni
    et al. 2002), with sacrebleu's own words (Post 2018).

    Raises:
        UserError: the extra `text` is not installed.
    """
    with needs("text"):
        from sacrebleu.metrics.bleu import BLEU

    counts = BLEU()._extract_corpus_statistics(said, [meant])
    return torch.tensor(counts, dtype=torch.float64).reshape(len(said), 10)


def bleu(counts: Tensor) -> Tensor:
    """The BLEU (R,) of sums of `bleu_counts`, (R, 10): from 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU

    scores = []
    for said, meant, *ngrams in counts.tolist():
        made = BLEU.compute_bleu(ngrams[:4], ngrams[4:], int(said), int(meant), smooth_method="exp")
        scores.append(made.score)
    return torch.tensor(scores, dtype=torch.float64)

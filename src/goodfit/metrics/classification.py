"""Scores of one class among K, in time and memory that grow as samples times classes.

torchmetrics counts pairs of classes under deterministic algorithms, one row of K squared for each
sample, and draws each class's curve on its own: 6,000 samples of 1,000 classes took 18 GB.

Letters: N samples, K classes, M positives of the class that has most.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.metrics.weighted import counts, mean


def accuracy(decided: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The share () of samples, by weight (N,), whose class is the one decided on, both (N,)."""
    if weight is None:
        return (decided == target).sum() / len(target)
    return mean(decided == target, weight)


def balanced_accuracy(
    decided: Tensor, target: Tensor, classes: int, weight: Tensor | None = None
) -> Tensor:
    """The mean () over the classes that the target (N,) holds of the share of each that is found.

    Of the classes decided on, (N,), and weights (N,). So a rare class counts as much as a frequent
    one.
    """
    hits, of_truth, _ = _tallies(decided, target, classes, weight)
    present = of_truth > 0
    return (hits[present] / of_truth[present]).mean()


def macro_f1(decided: Tensor, target: Tensor, classes: int, weight: Tensor | None = None) -> Tensor:
    """F1 () of the classes decided on against the true ones, both (N,): the mean over classes.

    Over those that the target or a decision holds, as torchmetrics and scikit-learn do; samples
    count by their weights (N,).
    """
    hits, of_truth, answered = _tallies(decided, target, classes, weight)
    either = answered + of_truth
    present = either > 0
    return (2 * hits[present] / either[present]).mean()


def _tallies(
    decided: Tensor, target: Tensor, classes: int, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What each class has, (K,) each: samples that are found, that there are, that are answered."""
    is_hit = decided == target
    hits = counts(target[is_hit], classes, None if weight is None else weight[is_hit])
    return hits, counts(target, classes, weight), counts(decided, classes, weight)


class OneAgainstRest:
    """Where each class's positives stand, by probabilities (N, K) and classes (N,), among all.

    A resampled test set is one in which a sample weighs as often as it was drawn, times its own
    weight, so what is sorted here serves a thousand of them.
    """

    def __init__(self, probability: Tensor, target: Tensor) -> None:
        if probability.device.type == "mps":  # which has no float64
            probability, target = probability.cpu(), target.cpu()
        self._present, self._codes = torch.unique(target, return_inverse=True)
        positives = torch.bincount(self._codes)
        scores = probability.T[self._present].contiguous()
        # a row for each class: the samples by their score, and where each positive stands in it
        ascending, self._order = scores.sort(dim=1, stable=True)

        of_class = self._codes.argsort(stable=True)
        row = self._codes[of_class]
        place = torch.arange(len(row), device=row.device) - (positives.cumsum(0) - positives)[row]
        own = scores.new_full((len(self._present), int(positives.max())), torch.inf)
        own[row, place] = scores[row, of_class]
        self._row, self._place, self._of_class = row, place, of_class
        self._below, self._upto = _ranks(ascending, own, row, place)

        # the same among the positives alone; what pads a row is behind all of them
        own_ascending, own_order = own.sort(dim=1, stable=True)
        self._own_below, self._own_upto = _ranks(own_ascending, own, row, place)
        samples = torch.full_like(own, len(row), dtype=torch.long)
        samples[row, place] = of_class
        self._own_order = samples.gather(1, own_order)

    def _of_classes(self, weights: Tensor) -> Tensor:
        """The weight of each class that is there, of weights (N,) of samples."""
        of_classes = torch.zeros(len(self._present), dtype=torch.float64, device=weights.device)
        return of_classes.index_add_(0, self._codes, weights)

    def _sums(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Sums (K, N + 1) and (K, M + 1) of weights (N,): of all, of positives, by score."""
        all_sums = _sums_before(weights[self._order])
        return all_sums, _sums_before(F.pad(weights, (0, 1))[self._own_order])

    def _mean(self, values: Tensor, divisor: Tensor, weights: Tensor) -> Tensor:
        """The mean () over classes with a weight of the sums of values (N,), by their divisors."""
        sums = torch.zeros_like(divisor).index_add_(0, self._row, values * weights[self._of_class])
        drawn = divisor > 0
        return (sums[drawn] / divisor[drawn]).mean()


class Auroc(OneAgainstRest):
    """One-against-rest AUROC of probabilities (N, K) and classes (N,), of any weights of samples.

    The unweighted mean over the classes that a sample with a weight has: the share of pairs of a
    positive and a negative in the right order, ties counting half (Hanley and McNeil 1982).
    """

    def of(self, weights: Tensor) -> Tensor:
        """The score () where samples have these weights (N,); 0.5 of one class."""
        weights = weights.to(self._codes.device, torch.float64)
        of_classes = self._of_classes(weights)
        if int((of_classes > 0).sum()) <= 1:
            return torch.tensor(0.5)

        all_sums, own_sums = self._sums(weights)
        row = self._row
        # twice the negatives below a positive, plus those that tie with it: of whole numbers exact
        # in float64
        pairs = all_sums[row, self._below] + all_sums[row, self._upto]
        pairs -= own_sums[row, self._own_below] + own_sums[row, self._own_upto]
        return self._mean(pairs, 2 * of_classes * (weights.sum() - of_classes), weights)


class AveragePrecision(OneAgainstRest):
    """One-against-rest average precision of probabilities (N, K) and classes (N,).

    The unweighted mean over the classes that a sample with a weight has: of a class's positives the
    mean precision among all samples that are as likely or likelier, as scikit-learn has it.
    """

    def of(self, weights: Tensor) -> Tensor:
        """The score () where samples have these weights (N,)."""
        weights = weights.to(self._codes.device, torch.float64)
        of_classes = self._of_classes(weights)
        all_sums, own_sums = self._sums(weights)
        row = self._row
        all_above = weights.sum() - all_sums[row, self._below]
        own_above = of_classes[row] - own_sums[row, self._own_below]
        # a positive that was not drawn may have nothing above it; its own weight is 0
        divisor = torch.where(all_above > 0, all_above, 1.0)
        return self._mean(own_above / divisor, of_classes, weights)


def _ranks(ascending: Tensor, own: Tensor, row: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """How many of each class's sorted scores, (K, N), are below a positive's, and how many no more.

    The positives' scores are `own` (K, M), and each of them, (N,), is at its row and place there.
    """
    below = torch.searchsorted(ascending, own)
    upto = torch.searchsorted(ascending, own, right=True)
    return below[row, place], upto[row, place]


def _sums_before(values: Tensor) -> Tensor:
    """The sums (K, N + 1) of the first 0, 1, ... N values of each row, (K, N)."""
    return F.pad(values.cumsum(1), (1, 0))


def log_loss(probability: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean negative log likelihood () in nats of probabilities (N, K) against classes (N,).

    Samples count by their weights (N,).
    """
    of_truth = probability.gather(1, target[:, None])
    # a baseline may give a class exactly 0; one such sample must not make the mean infinite
    return -mean(of_truth.clamp_min(1e-12).log().squeeze(1), weight)

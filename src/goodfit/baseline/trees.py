"""What boosted ensembles share: how many threads grow a tree."""

from __future__ import annotations

from typing import Any

from threadpoolctl import threadpool_limits

from goodfit.baseline.base import Array, Weights

# cells of a table below which threads cost more than they bring: on two cores that are busy, 370
# rows of 30 columns took 2.6 s with one thread and 76 s with two, which wait for each other at
# every node
_FEW = 5_000_000


def grow(
    model: Any,
    x: Array,
    y: Array,
    held_out: Array,
    truth: Array,
    weights: Weights = (None, None),
) -> None:
    """Fits an ensemble of scikit-learn on rows (N, F), and stops by others, held out.

    Both count by their `weights`, if they have any.

    Without them, scikit-learn would hold out a tenth of train at random: of a series, windows that
    overlap those that stay.
    """
    threads = 1 if x.size < _FEW else None
    with threadpool_limits(threads, user_api="openmp"):
        of_train, of_held_out = weights
        model.fit(x, y, of_train, X_val=held_out, y_val=truth, sample_weight_val=of_held_out)

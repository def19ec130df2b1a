"""Labels that the other rows contradict: confident learning (Northcutt, Jiang and Chuang 2021).

Letters: N rows, F columns, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from goodfit.data.findings import codes
from goodfit.records import FINDING_ROWS, Finding

Array = np.ndarray[Any, Any]
_FOLDS = 5
_FEWEST = 10  # rows of a class, so that each fold has some
_MOST = 20_000  # rows that are looked at
_TOLD_APART = 0.85  # balanced accuracy on rows that were not seen
_IMPLAUSIBLE = 0.1  # the probability of the label that is given


def label_noise(rows: pd.DataFrame, label: str, inputs: list[str]) -> list[Finding]:
    """Rows (N, columns) whose label a forest that has not seen them is sure to be another one.

    Sure is as the paper has it: at least the mean probability that rows of that class have of it.
    Where it does not tell the classes apart, or the target is a number, none is named.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if pd.api.types.is_float_dtype(rows[label]):
        return []
    taken = rows.sample(min(len(rows), _MOST), random_state=0).sort_index()
    counts = taken[label].value_counts()
    taken = taken[taken[label].isin(counts[counts >= _FEWEST].index)]
    if taken[label].nunique() < 2:
        return []
    features = np.stack([codes(taken[name]) for name in inputs], axis=1)
    names, truth = np.unique(taken[label].to_numpy(str), return_inverse=True)
    # near a border between classes a forest is unsure, where boosting says 0 or 1
    model = RandomForestClassifier(200, min_samples_leaf=3, n_jobs=-1, random_state=0)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    p = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")  # (N, K)

    told_apart = balanced_accuracy_score(truth, p.argmax(axis=1))
    suspects = contradicted(p, truth)
    suspects = suspects[p[suspects, truth[suspects]] <= _IMPLAUSIBLE]
    if told_apart < _TOLD_APART or not len(suspects):
        return []
    first = suspects[0]
    other = names[int(np.argmax(p[first]))]
    return [
        Finding(
            what=f"{len(suspects):,} of {len(taken):,} labels look{'s' * (len(suspects) == 1)} "
            f"wrong: the first of these rows says '{names[truth[first]]}', the others make it "
            f"'{other}' with {p[first].max():.0%}",
            rows=tuple(int(taken.index[place]) + 1 for place in suspects[: FINDING_ROWS + 1]),
            cost="what is wrong in train is learned, and in test counts against who is right",
            answer="look at these rows in the file; mend those that are wrong, and keep the others",
        )
    ]


def contradicted(p: Array, truth: Array) -> Array:
    """Places of rows whose other class is at least as probable as rows of that class have it.

    Of out-of-fold probabilities p (N, K) and labels (N,); the least plausible label first.
    """
    classes = p.shape[1]
    thresholds = np.array([p[truth == k, k].mean() for k in range(classes)])
    above = np.where(p >= thresholds, p, -1.0)
    likeliest = above.argmax(axis=1)
    is_other = (above.max(axis=1) >= 0) & (likeliest != truth)
    places = np.flatnonzero(is_other)
    margin = p[places, truth[places]] - p[places, likeliest[places]]
    return places[np.argsort(margin, kind="stable")]

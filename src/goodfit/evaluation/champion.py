"""A model against the registered champion, on the same test samples.

Letters: N test samples.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.evaluation.bootstrap import Resamples, compare, intervals
from goodfit.predictor import Predictor
from goodfit.records import Evaluation
from goodfit.records.interval import Interval
from goodfit.store.arrays import Packed
from goodfit.task.scores import Statistics, weight_of

_NETWORK, _CHAMPION = "network", "champion"


def answers(model: Path, data: Path) -> Statistics:
    """The statistics (N, ...) of another model's answers to the test split of `data`.

    Raises:
        UserError: it cannot be loaded, or was made for data that are encoded otherwise.
    """
    predictor = Predictor.load(model)
    if predictor.spec != DataSpec.read(data / "spec.json"):
        raise UserError("its data are encoded otherwise")
    return predictor.measure(Packed(data, "test")).statistics


def stored(evaluation: Path) -> Statistics:
    """The statistics (N, ...) of the network that an evaluation was of.

    Raises:
        UserError: the file that held them is missing or broken.
    """
    return _read(evaluation, f"{_NETWORK}.")


def paired(
    model: Path, evaluation: Evaluation, folder: Path, champion: Statistics
) -> tuple[int, Interval]:
    """1, 0 or -1 for better, tied or worse than the champion, and the interval of the difference.

    Of the model's evaluation in `folder` and the champion's statistics (N, ...), by the headline
    score, on the resampled test sets that evaluate draws.

    Raises:
        UserError: a file is missing or broken, or the champion's statistics are others than these.
    """
    task, name = Predictor.load(model).task, evaluation.score
    network, champion = _alike(stored(folder), champion)
    clusters, weight = _read(folder, "clusters")[""], weight_of(network)
    draws = Resamples(clusters, evaluation.resamples, seed=0, weight=weight)
    try:
        scores = intervals(
            {name: task.metrics()[name]},
            {_NETWORK: network, _CHAMPION: champion},
            draws,
            additive=task.additive,
            ranges=task.ranges,
        )
    except KeyError as missing:
        raise UserError(f"its answers were kept without {missing}, which {name} needs") from None
    return compare(scores[_NETWORK][name], scores[_CHAMPION][name], evaluation.mode)


def _alike(network: Statistics, champion: Statistics) -> tuple[Statistics, Statistics]:
    """What both have of each sample (N, ...); one may have what only its version keeps.

    Raises:
        UserError: they are of other samples, or kept in another form.
    """
    names = network.keys() & champion.keys()
    if not names or any(network[name].shape != champion[name].shape for name in names):
        raise UserError("its answers were kept in another form")
    kept = sorted(names)
    return {name: network[name] for name in kept}, {name: champion[name] for name in kept}


def _read(evaluation: Path, prefix: str) -> Statistics:
    """The arrays (N, ...) whose names begin with `prefix`, by the rest of their names.

    Raises:
        UserError: there is none, or the file is missing or broken.
    """
    path = evaluation / "statistics.npz"
    arrays_read: Statistics = {}
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            for name in arrays.files:
                if name.startswith(prefix):
                    arrays_read[name.removeprefix(prefix)] = torch.from_numpy(arrays[name])
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); `dvc repro` makes it again") from None
    if not arrays_read:
        raise UserError(f"{path} has no '{prefix}', another version wrote it; evaluate once more")
    return arrays_read

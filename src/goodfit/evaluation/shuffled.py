"""A network trained on shuffled targets must fall to chance on validation; else something leaks.

With targets that belong to other samples nothing about a sample tells its target. A network learns
them by heart even so (Zhang et al. 2017, arXiv 1611.03530), and knows those of validation only if
it has seen the same sample, or is told the answer by another way than its inputs. Whether it does
is a permutation test: its answers stay, and the targets of validation are drawn anew 199 times
(Ojala and Garriga 2010, section 3.1, test 1). Nothing is chosen by validation, so chance is exact.

Letters: N samples of validation, M units of it, R = 199 draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from goodfit.contract import Batch
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.predictor import BATCH, Predictor
from goodfit.records import FEWEST_UNITS, Manifest
from goodfit.records.fit import Shuffled, ShuffledRuns
from goodfit.records.interval import Interval
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches, Shard
from goodfit.store.relabelled import Relabelled, drawn, units
from goodfit.system.units import counted
from goodfit.task.base import Task
from goodfit.task.epoch import score_rows
from goodfit.task.scores import with_weight

DRAWS = 199  # with none of them as good, the probability by chance is 1 / 200
_MOST_STEPS = 2_000
_FIRST_SEED = 1_000_000
_MOST, _MOST_WRITTEN = 5_000, 200  # samples of validation; of a network that writes its answers
Array = np.ndarray[Any, Any]


def shuffled(cfg: DictConfig, folder: Path, by: str) -> Shuffled:
    """Trains on shuffled targets for as many epochs as the experiment, at most 2,000 steps.

    All samples of a unit get the same targets: `by` is "sample", or a column of the rows.

    Raises:
        UserError: validation has too few units, no column has that name, or network and data do
            not fit.
    """
    # Lightning comes with them: 4 s that whoever only reads what was found need not wait
    from goodfit.training import loop
    from goodfit.training.plain_steps import steps

    of_split = units(folder, by)
    there = len(np.unique(of_split["validation"]))
    if there < FEWEST_UNITS:
        raise UserError(
            f"validation has {counted(there, f'different {by}')}, it takes {FEWEST_UNITS}: of so "
            "few, any score may be chance"
        )
    task, _ = loop.prepare(cfg, folder, Shard())
    donors = drawn(of_split, cfg.seed)
    train, validation = (Relabelled(folder, split, donors[split]) for split in donors)
    taken = sum(1 for _ in steps(cfg, task, _batches(cfg, train.only(task.inputs))))
    task.cpu()
    predictor = Predictor(task, task.spec)
    most = min(_MOST_WRITTEN if task.feeds else _MOST, len(validation))
    value, chance = _tested(predictor, validation, of_split, spaced(len(validation), most))
    worse = chance < value if task.scores[task.score] == "max" else chance > value
    return Shuffled(
        by=by,
        score=task.score,
        mode=task.scores[task.score],
        train=_score(task, *_answers(predictor, train, spaced(len(train), most))),
        validation=value,
        chance=Interval(float(chance.mean()), *map(float, np.percentile(chance, [2.5, 97.5]))),
        # the score itself is one of the draws: no probability is zero
        probability=float((1 + (~worse).sum()) / (DRAWS + 1)),
        steps=taken,
        data_sha256=Manifest.read(folder / "manifest.json").sha256,
    )


def keep(experiment: str, found: Shuffled) -> None:
    """Writes what was found beside what other units of the same data gave."""
    path = Paths(experiment).shuffled
    others = [one for one in known(experiment, found.data_sha256) if one.by != found.by]
    path.parent.mkdir(parents=True, exist_ok=True)
    ShuffledRuns((*others, found)).write(path)


def known(experiment: str, data_sha256: str) -> tuple[Shuffled, ...]:
    """What was found of an experiment on these data; nothing where nobody has asked.

    Raises:
        UserError: the file is of another version, or was cut.
    """
    path = Paths(experiment).shuffled
    if not path.is_file():
        return ()
    return tuple(one for one in ShuffledRuns.read(path).runs if one.data_sha256 == data_sha256)


def spaced(samples: int, most: int) -> Tensor:
    """Rows (N,) of a split, at most so many: not the first ones, which may be those of a source."""
    count = min(samples, most)
    return torch.arange(count) * samples // count


def _batches(cfg: DictConfig, train: Packed) -> Iterator[Batch]:
    """The batches of as many epochs as the experiment has, in another order each."""
    size, given = cfg.loader.batch_size, 0
    for epoch in range(cfg.trainer.max_epochs):
        for batch in Batches(train, size, seed=cfg.seed, epoch=partial(int, epoch)):
            if given == _MOST_STEPS:
                return
            given += 1
            yield batch


def _tested(
    predictor: Predictor, validation: Relabelled, of_split: Mapping[str, Array], rows: Tensor
) -> tuple[float, Array]:
    """The score on shuffled targets of validation, and of the same answers on R draws, (R,)."""
    prediction, batch = _answers(predictor, validation, rows)
    value = _score(predictor.task, prediction, batch)
    chance = np.empty(DRAWS)
    for number in range(DRAWS):
        # seeds of their own: 0 to 198 may be those of a training
        again = copy(validation)
        again.donors = drawn(of_split, _FIRST_SEED + number)["validation"]
        chance[number] = _score(predictor.task, prediction, again.only([]).batch(rows))
    if not np.isfinite([value, *chance]).all():
        raise UserError(f"{predictor.task.score} is undefined on validation with other targets")
    return value, chance


def _answers(predictor: Predictor, split: Relabelled, rows: Tensor) -> tuple[Tensor, Batch]:
    """Predictions (N, ...) for the samples at `rows` (N,) of a split, and their targets."""
    parts = [predictor.predict_packed(split, part) for part in torch.split(rows, BATCH)]
    return torch.cat(parts), split.only([]).batch(rows)


def _score(task: Task, prediction: Tensor, truth: Batch) -> float:
    statistics = with_weight(task.statistics(prediction, **truth.targets), truth.sample_weight)
    metrics = {task.score: task.metrics()[task.score]}
    return float(score_rows(metrics, statistics, additive=task.additive)[task.score])

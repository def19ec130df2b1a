"""Training several times by hand: cv=5 on folds, seeds=5 with seeds, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from omegaconf import DictConfig
from pydantic import Field, StrictInt

from goodfit.config.values import check_value
from goodfit.errors import UserError
from goodfit.repeats.pool import pool
from goodfit.repeats.train import repeat
from goodfit.stages import studies

_AT_LEAST_TWO = Annotated[StrictInt, Field(ge=2, le=1000)] | None


def repeated(cfg: DictConfig, overrides: Sequence[str], **options: Any) -> float:
    """`python pipelines/train.py ... cv=5 seeds=3`: prints every score, the mean, its interval.

    Returns the mean.

    Raises:
        UserError: an option is no number of at least two, means nothing here, or the data cannot be
            divided so.
        FailureError: a training could not be finished.
    """
    for name, value in options.items():
        check_value(name, _AT_LEAST_TWO, value)
    folds, seeds = options.get("cv"), options.get("seeds")
    if cfg.resume == "must":
        raise UserError(
            "resume=must is about one training; with cv= and seeds= the same command goes on by "
            "itself, and resume=never starts anew"
        )
    if cfg.trainer.get("num_nodes", 1) > 1:
        raise UserError(
            f"trainer.num_nodes={cfg.trainer.num_nodes}: cv= and seeds= train on one machine"
        )
    with pool(cfg, (folds or 1) * (seeds or 1)) as workers:
        found = repeat(cfg, folds=folds, seeds=seeds, overrides=overrides, pool=workers)
    print("\n".join(found.lines()))
    studies.keep_repeated(found, overrides)
    print(f"run {found.run_id}; beside another: python pipelines/compare.py {found.run_id} <run>")
    return found.mean.value

"""The link from a running job to its trial: report a value, learn whether to stop.

A job calls `current()`; outside a sweep it gives None. Under the basic launcher the job runs in the
worker itself; under one that starts other processes (submitit) the trial is found again through the
environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

_VARIABLE = "HYDRA_OPTUNA_TRIAL"
_current: optuna.Trial | None = None


def current() -> optuna.Trial | None:
    """The trial that this process works on, None outside a sweep.

    Of a job's ranks only rank 0 has one (by RANK or SLURM_PROCID): a value is reported once.
    """
    if _current is not None or _VARIABLE not in os.environ:
        return _current
    # torchrun's variable, or srun's
    rank = int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")))
    if rank != 0:
        return None

    import optuna
    from hydra.utils import instantiate
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    from hydra_plugins.hydra_optuna_sweeper._lock import connect_args

    known = json.loads(os.environ[_VARIABLE])
    # no pool: nobody would close its connections before this process ends
    options = {"connect_args": connect_args(known["storage"]), "poolclass": NullPool}
    study = optuna.load_study(
        study_name=known["study"],
        storage=RDBStorage(known["storage"], options, skip_table_creation=True),
        pruner=instantiate(known["pruner"]),
    )
    return optuna.Trial(study, known["trial"])


def active() -> bool:
    """Whether this process works on a trial; true on every rank of it."""
    return _VARIABLE in os.environ


def admit(trial: optuna.Trial, **facts: float) -> str | None:
    """Records facts about the job, such as its number of parameters, for the constraints on them.

    Returns the first constraint that they break, None where all hold.
    """
    from hydra_plugins.hydra_optuna_sweeper._constraints import Constraint, first_violated

    for name, value in facts.items():
        trial.set_user_attr(name, value)
    texts = json.loads(os.environ[_VARIABLE])["constraints"]
    return first_violated([Constraint.parse(text) for text in texts], trial)


def report(trial: optuna.Trial, value: float, step: int) -> bool:
    """Tells the pruner an intermediate value, once a step; true where the trial should end now."""
    if len(trial.study.directions) > 1:
        return False  # Optuna prunes by one value only
    trial.report(value, step)
    return trial.should_prune()


def prune(trial: optuna.Trial, reason: str) -> optuna.TrialPruned:
    """The exception to raise; the reason is stored too, since launchers wrap what a job raises."""
    import optuna

    trial.set_user_attr("pruned", reason)
    return optuna.TrialPruned(reason)


@contextmanager
def running(
    trial: optuna.Trial, storage: str, *, pruner: Mapping[str, Any], constraints: Sequence[str]
) -> Iterator[None]:
    """In the block `trial` is the current one, here and in processes that the block starts.

    `pruner` is its configuration, and `constraints` are texts.
    """
    global _current
    _current = trial
    known = {
        "storage": storage,
        "study": trial.study.study_name,
        "trial": trial._trial_id,
        "pruner": pruner,
        "constraints": constraints,
    }
    os.environ[_VARIABLE] = json.dumps(known)
    try:
        yield
    finally:
        _current = None
        os.environ.pop(_VARIABLE, None)

"""The study in its database: opened safely, resumed with the same space only, free of orphans.

A trial is an orphan when its worker process is gone. It is interrupted when something outside of it
ended it: it did not fail by itself, so its point is queued again, at most `max_retry` times.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._lock import connect_args, study_lock
from hydra_plugins.hydra_optuna_sweeper._process import is_gone
from hydra_plugins.hydra_optuna_sweeper._secrets import mask_passwords

# user attributes of a trial, under the names that they have in studies that exist
WORKER, REASON, INTERRUPTED = "worker", "reason", "cut"
MISSED_HEARTBEATS = 6  # after which a trial on another machine counts as dead
_CONNECT_ERRORS = (DBAPIError, OSError, NoSuchModuleError, ArgumentError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Counts:
    """The number of trials in each state; one that is retried is interrupted, not failed."""

    complete: int
    pruned: int
    failed: int
    running: int
    interrupted: int

    @property
    def finished(self) -> int:
        """Trials that count towards n_trials."""
        return self.complete + self.pruned + self.failed

    @property
    def claimed(self) -> int:
        """Trials that need not be started any more, here or in another sweep."""
        return self.finished + self.running


def storage_url(storage: Any, sweep_dir: Path) -> str:
    """The database's URL; a SQLite file has an absolute path, since jobs may change the folder.

    Raises:
        SweepError: not a URL, or a database in memory.
    """
    if storage is None:
        return f"sqlite:///{(sweep_dir / 'optuna.db').resolve()}"
    if not isinstance(storage, str) or "://" not in storage:
        raise SweepError(
            f"hydra.sweeper.storage={storage}: expected a URL such as sqlite:///optuna.db or null"
        )

    storage = storage.replace("sqlite+pysqlite:", "sqlite:")
    if storage in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise SweepError(
            f"hydra.sweeper.storage={storage}: workers share no memory; leave it null for a file"
        )
    path = storage.removeprefix("sqlite:///")
    return f"sqlite:///{Path(path).resolve()}" if path != storage else storage


def connect(url: str, *, heartbeat: int, max_retry: int, create: bool = False) -> RDBStorage:
    """The storage behind a URL; a heartbeat every `heartbeat` seconds.

    A SQLite file is in WAL mode, where readers and one writer do not wait for each other.

    Raises:
        SweepError: the database does not answer, or its driver is not installed.
    """
    shown = mask_passwords(url)
    try:
        options = {"connect_args": connect_args(url)}
        with study_lock(url) if create else nullcontext(), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # not Optuna's journal, which has no heartbeats: a killed trial would stay RUNNING
            storage = RDBStorage(
                url,
                options,
                heartbeat_interval=heartbeat,
                grace_period=heartbeat * MISSED_HEARTBEATS,
                heartbeat_stale_trial_callback=retry_callback(max_retry),
                skip_table_creation=not create,
            )
    except ImportError as error:
        raise SweepError(
            f"hydra.sweeper.storage={shown}: {error}; install the database's driver"
        ) from None
    except _CONNECT_ERRORS as error:
        cause = " ".join(str(getattr(error, "orig", None) or error.__cause__ or error).split())
        raise SweepError(
            f"hydra.sweeper.storage={shown} does not answer: {mask_passwords(cause)[:200]}"
        ) from None

    if url.startswith("sqlite"):
        event.listen(storage.engine, "connect", _set_pragmas)
        storage.engine.dispose()  # connections made before have no pragmas
    return storage


def disconnect(study: optuna.Study) -> None:
    """Closes this process's connections: SQLite's locks do not survive a fork with an open file."""
    backend: Any = getattr(study._storage, "_backend", study._storage)  # Optuna wraps it in a cache
    backend.engine.dispose()


def open_study(
    storage: RDBStorage, name: str | None, directions: Sequence[str], space: str
) -> optuna.Study:
    """The study of this name, new or resumed; `space` is the fingerprint of what is searched.

    Raises:
        SweepError: it was begun with another space or other directions.
    """
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    study = optuna.create_study(
        storage=storage, study_name=name, directions=wanted, load_if_exists=True
    )
    advice = "choose another hydra.sweeper.study_name, or the space it was begun with"
    if study.directions != wanted:
        known = [direction.name.lower() for direction in study.directions]
        raise SweepError(
            f"study '{study.study_name}' has directions {known}, got {list(directions)}; {advice}"
        )

    known_space = study.user_attrs.get("space")
    if known_space is None or is_empty(study):
        study.set_user_attr("space", space)
    elif known_space != space:
        differing = _differing_keys(json.loads(known_space), json.loads(space))
        raise SweepError(
            f"study '{study.study_name}' searches another space: {', '.join(differing)} differ; "
            f"{advice}"
        )
    return study


def check_same_config(study: optuna.Study, config: DictConfig, searched: Collection[str]) -> None:
    """A study goes on with the values that it was begun with, for its scores are to be compared.

    What is `searched` may differ. A new study remembers the values as hashes, for one of them may
    be a password.

    Raises:
        SweepError: names the keys that differ.
    """
    content: Any = OmegaConf.to_container(config, resolve=False)
    content.pop("hydra", None)
    hashes = {}
    for key, value in _flatten(content, ""):
        if not any(key == name or key.startswith(f"{name}.") for name in searched):
            hashes[key] = hashlib.sha256(repr(value).encode()).hexdigest()[:8]

    known = study.user_attrs.get("start")
    if known is None or is_empty(study):
        study.set_user_attr("start", hashes)
        return

    differing = _differing_keys(known, hashes)
    if differing:
        raise SweepError(
            f"study '{study.study_name}' was begun with another value of "
            f"{', '.join(differing[:6])}; "
            "choose another hydra.sweeper.study_name, or the value it was begun with"
        )


def is_empty(study: optuna.Study) -> bool:
    """Whether it has no trial yet: a mistake that was told after it was made binds nobody to it."""
    return not study.get_trials(deepcopy=False)


def enqueue(study: optuna.Study, url: str, points: Sequence[dict[str, Any]]) -> None:
    """Puts the points into the queue that are not in the study yet; of two sweeps, one does."""
    with study_lock(url):
        # not skip_if_exists, which reads the whole study for each point: 10 s for 400
        known = set()
        for trial in study.get_trials(deepcopy=False):
            known.add(_point_key(trial.system_attrs.get("fixed_params", trial.params)))
        for point in points:
            if _point_key(point) not in known:
                study.enqueue_trial(point)


def fail_orphans(study: optuna.Study, max_retry: int) -> int:
    """Ends trials whose process on this machine is gone, and queues their points; returns how many.

    Heartbeats do this for other machines, but only after a minute.
    """
    running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    orphans = [trial for trial in running if is_gone(trial.user_attrs.get(WORKER, ""))]
    for trial in orphans:
        interrupt(study, trial.number, "the sweep was killed", max_retry)
    return len(orphans)


def fail_stale(study: optuna.Study) -> None:
    """Ends trials, of whatever machine, whose heartbeats stopped, and queues their points again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def interrupt(study: optuna.Study, number: int, reason: str, max_retry: int) -> None:
    """Ends a trial for a reason outside of it; its point is retried, at most `max_retry` times."""
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state.is_finished():
        return

    # another sweep saw it too, and was faster
    with suppress(optuna.exceptions.UpdateFinishedTrialError):
        # before the state: a trial that is finished takes no attributes
        study._storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        retry_callback(max_retry)(study, trial)


def retry_callback(max_retry: int) -> Callable[[optuna.Study, FrozenTrial], None]:
    """Queues a trial's point again, with the list of attempts so far."""

    def retry(study: optuna.Study, trial: FrozenTrial) -> None:
        history = [*trial.system_attrs.get("retry_history", []), trial.number]
        # interrupted before it had params, it has its point only if it waited in the queue with it,
        # as a grid's trials do
        queued = {key: value for key, value in trial.system_attrs.items() if key == "fixed_params"}
        if not (trial.params or queued) or len(history) > max_retry:
            return

        study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs={**queued, "failed_trial": trial.number, "retry_history": history},
            )
        )

    return retry


def counts(study: optuna.Study) -> Counts:
    """The trials of the study by their state."""
    trials = study.get_trials(deepcopy=False)
    retried = {trial.system_attrs.get("failed_trial") for trial in trials}
    by_state = dict.fromkeys(TrialState, 0)
    interrupted = 0
    for trial in trials:
        # interrupted before it chose a point: there is nothing to retry, and nothing was tried
        lost = INTERRUPTED in trial.user_attrs and not trial.params
        if trial.state == TrialState.FAIL and (trial.number in retried or lost):
            interrupted += 1
        else:
            by_state[trial.state] += 1

    return Counts(
        complete=by_state[TrialState.COMPLETE],
        pruned=by_state[TrialState.PRUNED],
        failed=by_state[TrialState.FAIL],
        running=by_state[TrialState.RUNNING],
        interrupted=interrupted,
    )


def _flatten(content: Any, prefix: str) -> list[tuple[str, Any]]:
    """Dotted keys with their values."""
    if not isinstance(content, dict):
        return [(prefix[:-1], content)]
    leaves = []
    for key, item in content.items():
        leaves += _flatten(item, f"{prefix}{key}.")
    return leaves


def _differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _point_key(point: Mapping[str, Any]) -> str:
    return repr(sorted(point.items()))


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()

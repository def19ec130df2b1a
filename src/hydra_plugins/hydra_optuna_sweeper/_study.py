"""The study in its database: opened safely, resumed with the same space only, rid of trials that nobody works on."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from goodfit import process
from hydra_plugins.hydra_optuna_sweeper._alone import alone, arguments
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._secrets import hidden

WORKER, REASON, CUT = "worker", "reason", "cut"  # user attributes of a trial
MISSED = 6  # signs of life, after which a trial on another machine counts as dead


def url_of(storage: Any, sweep_dir: Path) -> str:
    """The database's URL with an absolute path, since jobs may change the folder; a file in the sweep's by default."""
    if storage is None:
        return f"sqlite:///{(sweep_dir / 'optuna.db').resolve()}"
    if not isinstance(storage, str) or "://" not in storage:
        raise SweepError(f"hydra.sweeper.storage={storage}: expected a URL such as sqlite:///optuna.db or null")
    storage = storage.replace("sqlite+pysqlite:", "sqlite:")
    if storage in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise SweepError(f"hydra.sweeper.storage={storage}: workers share no memory; leave it null for a file")
    path = storage.removeprefix("sqlite:///")
    return f"sqlite:///{Path(path).resolve()}" if path != storage else storage


def connect(url: str, *, heartbeat: int, max_retry: int, create: bool = False) -> RDBStorage:
    """The storage behind a URL; a SQLite file in WAL mode, where readers and one writer do not wait for each other.

    Raises:
        SweepError: the database does not answer, or its driver is not installed.
    """
    shown = hidden(url)
    try:
        options = {"connect_args": arguments(url)}
        with alone(url) if create else _nothing(), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = RDBStorage(
                url,
                options,
                heartbeat_interval=heartbeat,
                grace_period=heartbeat * MISSED,
                heartbeat_stale_trial_callback=retry(max_retry),
                skip_table_creation=not create,
            )
    except ImportError as error:
        raise SweepError(f"hydra.sweeper.storage={shown}: {error}; install the database's driver") from None
    except (DBAPIError, OSError, NoSuchModuleError, ArgumentError, RuntimeError, ValueError) as error:
        cause = " ".join(str(getattr(error, "orig", None) or error.__cause__ or error).split())
        raise SweepError(f"hydra.sweeper.storage={shown} does not answer: {hidden(cause)[:200]}") from None
    if url.startswith("sqlite"):
        event.listen(storage.engine, "connect", _pragmas)
        storage.engine.dispose()  # connections made before have no pragmas
    return storage


def open_study(storage: RDBStorage, name: str | None, directions: Sequence[str], space: str) -> optuna.Study:
    """The study of this name, new or resumed.

    Raises:
        SweepError: it was begun with another space or other directions.
    """
    wanted = [StudyDirection[word.upper()] for word in directions]
    study = optuna.create_study(storage=storage, study_name=name, directions=wanted, load_if_exists=True)
    advice = "choose another hydra.sweeper.study_name, or the space it was begun with"
    if study.directions != wanted:
        theirs = [direction.name.lower() for direction in study.directions]
        raise SweepError(f"study '{study.study_name}' has directions {theirs}, got {list(directions)}; {advice}")
    known = study.user_attrs.get("space")
    if known is None or untried(study):
        study.set_user_attr("space", space)
    elif known != space:
        old, new = json.loads(known), json.loads(space)
        differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        raise SweepError(f"study '{study.study_name}' searches another space: {', '.join(differing)} differ; {advice}")
    return study


def same_start(study: optuna.Study, config: DictConfig, searched: Collection[str]) -> None:
    """A study goes on with the values that it was begun with, for its scores are to be compared; what is searched may
    differ. Hashes are kept, not values: one of them may be a password.

    Raises:
        SweepError: names the keys that differ.
    """
    content: Any = OmegaConf.to_container(config, resolve=False)
    content.pop("hydra", None)
    values = {
        key: hashlib.sha256(repr(value).encode()).hexdigest()[:8]
        for key, value in _leaves(content, "")
        if not any(key == name or key.startswith(f"{name}.") for name in searched)
    }
    known = study.user_attrs.get("start")
    if known is None or untried(study):
        study.set_user_attr("start", values)
        return
    if changed := sorted(key for key in {*known, *values} if known.get(key) != values.get(key)):
        raise SweepError(
            f"study '{study.study_name}' was begun with another value of {', '.join(changed[:6])}; "
            "choose another hydra.sweeper.study_name, or the value it was begun with"
        )


def untried(study: optuna.Study) -> bool:
    """Whether it has no trial yet: a mistake that was told after it was made binds nobody to the command."""
    return not study.get_trials(deepcopy=False)


def _leaves(content: Any, prefix: str) -> list[tuple[str, Any]]:
    if not isinstance(content, dict):
        return [(prefix[:-1], content)]
    return [leaf for key, item in content.items() for leaf in _leaves(item, f"{prefix}{key}.")]


def disconnect(study: optuna.Study) -> None:
    """Closes the connections of this process: SQLite's locks do not survive that a fork inherits an open file."""
    backend: Any = getattr(study._storage, "_backend", study._storage)  # Optuna wraps a database in a cache
    backend.engine.dispose()


def bury(study: optuna.Study, max_retry: int) -> int:
    """Ends trials whose process on this machine is gone, and puts them back in the queue; returns how many.

    Heartbeats do this for other machines, but only after a minute.
    """
    dead = [
        trial
        for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        if process.gone(trial.user_attrs.get(WORKER, ""))
    ]
    for trial in dead:
        cut(study, trial.number, "the sweep was killed", max_retry)
    return len(dead)


def enqueue(study: optuna.Study, url: str, points: Sequence[dict[str, Any]]) -> None:
    """Puts the points into the queue that are not in the study yet; of two sweeps that begin together, one does."""
    with alone(url):
        # not skip_if_exists, which reads the whole study for each point: 10 s for 400
        there = [trial.system_attrs.get("fixed_params", trial.params) for trial in study.get_trials(deepcopy=False)]
        known = {_word(point) for point in there}
        for point in points:
            if _word(point) not in known:
                study.enqueue_trial(point)


def _word(point: Mapping[str, Any]) -> str:
    return repr(sorted(point.items()))


def reap(study: optuna.Study) -> None:
    """Ends trials, of whatever machine, that have given no sign of life for long; their points are queued again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def cut(study: optuna.Study, number: int, reason: str, max_retry: int) -> None:
    """Records that a trial was stopped from outside, and queues its point again, at most `max_retry` times."""
    trial = study.get_trials(deepcopy=False)[number]
    if trial.state.is_finished():
        return
    with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another sweep saw it too, and was faster
        study._storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        study._storage.set_trial_user_attr(trial._trial_id, CUT, True)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        retry(max_retry)(study, trial)


def retry(max_retry: int) -> Callable[[optuna.Study, FrozenTrial], None]:
    """Queues a trial's point again, with the list of attempts so far."""

    def again(study: optuna.Study, trial: FrozenTrial) -> None:
        history = [*trial.system_attrs.get("retry_history", []), trial.number]
        # one that was cut before it chose has its point only where it stood in the queue with it, as a grid's do
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

    return again


def counts(study: optuna.Study) -> dict[str, int]:
    """How many trials are complete, pruned, failed, running, waiting; one that is tried again counts as `cut`."""
    trials = study.get_trials(deepcopy=False)
    again = {trial.system_attrs["failed_trial"] for trial in trials if "failed_trial" in trial.system_attrs}
    found = {state.name.lower(): 0 for state in TrialState} | {"cut": 0}
    for trial in trials:
        failed = trial.state == TrialState.FAIL
        lost = failed and (trial.number in again or (CUT in trial.user_attrs and not trial.params))
        found["cut" if lost else trial.state.name.lower()] += 1
    return found


def done(found: dict[str, int]) -> int:
    """Trials that count towards n_trials."""
    return found["complete"] + found["pruned"] + found["fail"]


def taken(study: optuna.Study) -> int:
    """Trials that need not be begun any more, here or in another sweep."""
    found = counts(study)
    return done(found) + found["running"]


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


@contextmanager
def _nothing() -> Iterator[None]:
    yield

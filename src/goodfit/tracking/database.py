"""MLflow's database: made by one process, its errors told in a line, closed before a fork."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from goodfit.errors import UserError
from goodfit.system import experiment
from goodfit.system.files import file_lock, replacing_file
from goodfit.system.secrets import redact
from goodfit.tracking import places
from goodfit.tracking.places import sqlite_path
from goodfit.tracking.server import check_answers
from goodfit.tracking.spool import replay

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DEFAULTS = {
    # neither the usage report nor the banner about it belongs into a training run
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # a pickled model would run whatever it names; MLflow's own default allows it
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def connect(uri: str) -> MlflowClient:
    """A client on a database that exists; what was spooled for it before is sent.

    Of several processes that start together one makes the database: without the lock, 7 of 8 on a
    fresh SQLite file die of "duplicate column name".

    Raises:
        UserError: the database does not answer, or its file or MLflow's cannot be made.
    """
    uri = experiment.at_home(uri)
    check_answers(uri)
    set_mlflow_defaults()
    from mlflow import MlflowClient

    told = mend_places(uri)
    if told:
        print(told, flush=True)
    with _reachable_file(uri), locked(uri), reachable(uri):
        _create(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    replay(client, client.tracking_uri)
    return client


def mend_places(uri: str) -> str | None:
    """Files are looked for where the project is now; a line where that was to be mended.

    Raises:
        UserError: MLflow cannot keep files there.
    """
    path = sqlite_path(uri)
    if path is None:
        return None
    places.check(path)
    # of a database that cannot be read, MLflow tells more
    with suppress(sqlite3.Error, OSError):
        return places.mend(path)
    return None


@contextmanager
def _reachable_file(uri: str) -> Iterator[None]:
    """In the block, a file that cannot be made or opened is a mistake of the user."""
    try:
        yield
    except OSError as error:
        if sqlite_path(uri) is None:
            raise
        reason = f"{error.strerror}: {error.filename}"
        raise UserError(f"tracking.uri={uri} does not answer: {reason}") from error


def disconnect(client: MlflowClient) -> None:
    """Closes this process's connections before it forks.

    SQLite's locks do not survive that a fork inherits an open file.
    """
    engine = getattr(client._tracking_client.store, "engine", None)  # a server's store has none
    if engine is not None:
        engine.dispose()


@contextmanager
def reachable(uri: str) -> Iterator[None]:
    """In the block, an error of the database is a mistake of the user.

    For the time before a run has begun: later a run waits for its database instead.

    Raises:
        UserError: the database does not answer.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        # without the statement and its values, which may be long and may be secret
        reason = " ".join(str(error).partition("[SQL:")[0].split())[:300]
        raise UserError(redact(f"tracking.uri={uri} does not answer: {reason}")) from error


@contextmanager
def locked(uri: str, purpose: str | None = None) -> Iterator[None]:
    """One process at a time is in the block, for a database that is a file.

    A server serializes its own changes. A `purpose` has a lock of its own: who holds it may open a
    run, which takes the plain one.
    """
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    name = f"{path.name}.{purpose}.lock" if purpose else f"{path.name}.lock"
    with file_lock(path.with_name(name)):
        yield


def set_mlflow_defaults() -> None:
    """Sets what MLflow reads when it is imported; a user's own environment variables stand."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # it logs a traceback of what it raises as well
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _create(uri: str) -> None:
    """Makes a new SQLite database beside its place, and moves it there whole.

    After a kill, half of MLflow's tables would stop every later run.
    """
    from mlflow import MlflowClient

    path = sqlite_path(uri)
    if path is None or path.exists():
        return
    with replacing_file(path) as part:
        part_uri = f"{places.SQLITE}{part}"
        client = MlflowClient(tracking_uri=part_uri, registry_uri=part_uri)
        client.search_experiments(max_results=1)
        disconnect(client)
        places.settle(part, "0")  # the experiment "Default"

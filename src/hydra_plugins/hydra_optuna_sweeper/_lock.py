"""One process at a time, of all machines, creates the tables, fills the queue, starts a trial."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from hydra_plugins.hydra_optuna_sweeper._process import file_lock

# seconds: a machine that lost its network holds a lock until the server gives its connection up
_LOCK_TIMEOUT = 60.0

# a lock's name counts for the whole server, and has 64 letters at most
_MYSQL = "SELECT GET_LOCK(LEFT(CONCAT('optuna ', DATABASE()), 64), 0)"
_TRY_LOCK = {
    # any number, the same for all; held until the connection ends
    "postgresql": "SELECT pg_try_advisory_lock(5261)",
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}

_CONNECT_ARGS = {
    "pysqlite": {"timeout": 60},
    "psycopg": {"connect_timeout": 10},
    "psycopg2": {"connect_timeout": 10},
    "pymysql": {"connect_timeout": 10},
    "mysqldb": {"connect_timeout": 10},
}


def connect_args(url: str) -> dict[str, Any]:
    """The timeout in seconds under the driver's own name for it: at an unknown one it raises."""
    return dict(_CONNECT_ARGS.get(make_url(url).get_driver_name(), {}))


@contextmanager
def study_lock(url: str) -> Iterator[None]:
    """No other process is in a block with the same database; SQLite has a lock file beside it."""
    path = url.removeprefix("sqlite:///")
    is_file = path != url
    lock = file_lock(Path(f"{path}.lock")) if is_file else _database_lock(url)

    with lock:
        yield


@contextmanager
def _database_lock(url: str) -> Iterator[None]:
    """By a connection of its own: a pooled one would keep the lock, a forked one would share it."""
    try_lock = _TRY_LOCK.get(make_url(url).get_backend_name())
    if try_lock is None:
        yield
        return

    engine = create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connect_args(url)
    )
    with engine.connect() as connection:
        # when it is over, the block runs without the lock: nobody waits for ever for a lost machine
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while not connection.execute(text(try_lock)).scalar() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield

"""One process at a time makes a study's tables, fills its queue or begins a trial, on whatever machine it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from goodfit import files

_PATIENCE = 60.0  # seconds: a machine that lost its network holds a lock until the server gives its connection up
_MYSQL = "SELECT GET_LOCK(LEFT(CONCAT('optuna ', DATABASE()), 64), 0)"  # a name is the whole server's, 64 letters long
_TAKE = {
    "postgresql": "SELECT pg_try_advisory_lock(5261)",  # any number, the same for all; held until the connection ends
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
_TIMEOUTS = {"pysqlite": ("timeout", 60)} | dict.fromkeys(
    ("psycopg", "psycopg2", "pymysql", "mysqldb"), ("connect_timeout", 10)
)


def arguments(url: str) -> dict[str, Any]:
    """How long the driver waits, in its own words: one that does not know the word raises."""
    found = _TIMEOUTS.get(make_url(url).get_driver_name())
    return dict([found]) if found else {}


@contextmanager
def alone(url: str) -> Iterator[None]:
    """No other process is in a block with the same database; SQLite's is kept out by a file beside it."""
    path = url.removeprefix("sqlite:///")
    with files.alone(Path(f"{path}.lock")) if path != url else _database(url):
        yield


@contextmanager
def _database(url: str) -> Iterator[None]:
    """By a connection of its own: a pooled one would keep the lock, a forked one would share it."""
    take = _TAKE.get(make_url(url).get_backend_name())
    if take is None:
        yield
        return
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments(url))
    with engine.connect() as connection:
        deadline = time.monotonic() + _PATIENCE
        while not connection.execute(text(take)).scalar() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield

"""Studies in a database, as another process finds them; no connection outlives a call."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.pool import NullPool


def storage(url: str | Path) -> RDBStorage:
    """A database by its URL, or the SQLite file at a path."""
    name = f"sqlite:///{url}" if isinstance(url, Path) else url
    # a pool's connections are closed by nobody when a test ends, which Python 3.13 calls an error
    return RDBStorage(name, {"poolclass": NullPool})


def load(url: str | Path, study: str) -> optuna.Study:
    return optuna.load_study(study_name=study, storage=storage(url))

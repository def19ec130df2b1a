"""Where MLflow's database says that files lie: beside it, in mlruns/, wherever the project is now.

MLflow stores absolute paths, and makes a relative one absolute. A project that was moved, renamed
or copied would load nothing, and write its new runs into the old folder.
Docs: docs/decisions/0028-registry-and-files.md.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from goodfit.cli import guarded
from goodfit.errors import UserError
from goodfit.system import experiment
from goodfit.system.files import file_lock

SQLITE = "sqlite:///"
_ARTIFACTS = "mlruns"
# each column that holds a place, with the key of its row
_COLUMNS = (
    ("experiments", "artifact_location", "experiment_id"),
    ("runs", "artifact_uri", "run_uuid"),
    ("logged_models", "artifact_location", "model_id"),
    ("model_versions", "storage_location", "rowid"),
    ("model_versions", "source", "rowid"),
)


class Place(NamedTuple):
    """A place in the database that is not beside it, and the one that it becomes."""

    table: str
    column: str
    key: str
    row: str | int
    old: str
    new: str


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite database, None for a server.

    In a copy that `dvc exp run` made, a file without a path is that of the project.
    """
    uri = experiment.at_home(uri)
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def of_environment() -> str:
    """The address in MLFLOW_TRACKING_URI, by default that of mlflow.db in this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI", f"{SQLITE}mlflow.db")


def environment_database() -> Path | None:
    """The file that the environment's MLFLOW_TRACKING_URI names, mlflow.db unless it says so.

    None for a server.
    """
    return sqlite_path(of_environment())


def artifacts(database: Path) -> Path:
    """The folder of all files of a database's runs and models."""
    return database.parent.resolve() / _ARTIFACTS


def check(database: Path) -> None:
    """MLflow can keep files beside the database.

    It decodes paths, some twice: the files of `a%20b` would be in `a b`, in whatever way they are
    written.

    Raises:
        UserError: the folder's path has such signs.
    """
    path = database.parent.resolve()
    decoded = unquote(str(path))
    if decoded != str(path):
        raise UserError(
            f"MLflow would keep the files of {path} in {decoded}, for it decodes %20 and the like; "
            "rename the folder"
        )


def folder(location: str) -> Path | None:
    """The folder that MLflow makes of a location; None for a server or a bucket."""
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path))
    return Path(unquote(location)) if location.startswith("/") else None


def misplaced(database: Path) -> list[Place]:
    """The places that a move or a copy of the project has left behind; none in a new database.

    Raises:
        sqlite3.Error: it is no database of MLflow, or cannot be read.
    """
    if not database.is_file() or database.stat().st_size == 0:
        return []
    root = artifacts(database)
    prefix = f"{root}/"
    rows = []
    # mode=ro: by default SQLite makes a file that is missing
    with closing(_open(database, "ro")) as connection:
        for table, column, key in _COLUMNS:
            query = f"select {key}, {column} from {table} where substr({column}, 1, ?) <> ?"  # noqa: S608 - names of this file
            for row, old in connection.execute(query, [len(prefix), prefix]):
                rows.append((table, column, key, row, old))
    if not rows:
        return []

    candidates = list(_candidates(rows, root))
    moved = {old_root for old_root, place in candidates if _is_left(old_root, place)}
    places = []
    for old_root, place in candidates:
        if old_root in moved and _belongs_here(place):
            places.append(place)
    return places


def mend(database: Path) -> str | None:
    """Rewrites what `misplaced` finds, in one transaction; a line about it, None for nothing.

    Raises:
        sqlite3.Error: the database cannot be read or written.
    """
    if not misplaced(database):
        return None
    with file_lock(database.with_name(f"{database.name}.lock")):
        places = misplaced(database)  # another process may have mended it meanwhile
        _write(database, places)
    return _told(database, places)


def settle(database: Path, experiment_id: str) -> None:
    """An experiment that was just created has its files beside the database.

    MLflow puts them below the present folder, which is another one where clones share a database.
    The caller holds the database's lock.
    """
    new = str(artifacts(database) / experiment_id)
    with closing(_open(database, "rw")) as connection, connection:
        connection.execute(
            "update experiments set artifact_location = ? where experiment_id = ?",
            [new, experiment_id],
        )


def _open(database: Path, mode: str) -> sqlite3.Connection:
    uri = f"{database.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=10)  # seconds; others may be writing


def _candidates(
    rows: list[tuple[str, str, str, str | int, str]], root: Path
) -> Iterator[tuple[str, Place]]:
    """Each row below some folder mlruns/, with the location of that folder."""
    for table, column, key, row, old in rows:
        old_root, found, tail = old.rpartition(f"/{_ARTIFACTS}/")
        if found and folder(old):
            new = str(root / unquote(tail))
            yield f"{old_root}/{_ARTIFACTS}", Place(table, column, key, row, old, new)


def _is_left(old_root: str, place: Place) -> bool:
    """Whether the project has left `old_root`: its files are here now, or nothing is there."""
    old = folder(old_root)
    assert old is not None  # `_candidates` yields folders alone
    is_decoded = unquote(old_root) != old_root  # see `check`
    is_of_another = (old.parent / "mlflow.db").exists()
    is_gone = not old.parent.exists()
    return is_decoded or is_of_another or is_gone or _exists(place.new)


def _belongs_here(place: Place) -> bool:
    """New runs land here; what exists stays where its files are."""
    is_for_new_runs = place.table == "experiments"
    return is_for_new_runs or _exists(place.new) or not _exists(place.old)


def _exists(location: str) -> bool:
    path = folder(location)
    return path is not None and path.exists()


def _write(database: Path, places: list[Place]) -> None:
    with closing(_open(database, "rw")) as connection, connection:
        for table, column, key, row, old, new in places:
            query = f"update {table} set {column} = ? where {key} = ? and {column} = ?"  # noqa: S608 - names of this file
            connection.execute(query, [new, row, old])


def _told(database: Path, places: list[Place]) -> str | None:
    # an experiment "Default" that nobody has used is no news
    if not any(place.row != 0 for place in places):
        return None
    old = folder(places[0].old.rpartition(f"/{_ARTIFACTS}/")[0])
    runs = sum(place.table == "runs" for place in places)
    models = sum(place.table == "logged_models" for place in places)
    return (
        f"{database} was moved or copied, and named {old} for its files: "
        f"of {runs} runs and {models} models they are found here again, new ones land here"
    )


def main() -> None:
    """`make ui`: MLflow by itself would show runs without files in a project that was moved.

    Raises:
        UserError: MLflow cannot keep files in this folder.
    """
    database = environment_database()
    if database is None:
        return
    check(database)
    with suppress(sqlite3.Error):  # MLflow tells more of it
        told = mend(database)
        if told:
            print(told, flush=True)


if __name__ == "__main__":
    guarded(main)

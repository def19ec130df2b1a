"""MLflow's and Optuna's databases, read by plain SQL: importing either takes seconds."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from goodfit.doctor.finding import (
    Finding,
    abbreviate,
    count,
    note,
    ok,
    one_line,
    problem,
    quarantine,
)
from goodfit.errors import UserError
from goodfit.system.processes import gone
from goodfit.system.secrets import redact
from goodfit.tracking import places
from goodfit.tracking.spool import SPOOL

QUARANTINE = Path("build/quarantine")
# a left join: a run that another program began has no such tag, and is nobody's orphan
_RUNNING = """
    select runs.run_uuid, runs.experiment_id, tags.value from runs
    left join tags on tags.run_uuid = runs.run_uuid and tags.key = 'goodfit.process'
    where runs.status = 'RUNNING' and runs.lifecycle_stage = 'active'
"""
_TRIALS = """
    select studies.study_name, trials.number, attributes.value_json from trials
    join studies on studies.study_id = trials.study_id
    left join trial_user_attributes attributes
        on attributes.trial_id = trials.trial_id and attributes.key = 'worker'
    where trials.state = 'RUNNING'
"""


def mlflow() -> Iterator[Finding]:
    """The tracking database is whole, has MLflow's present schema, and no dead run is RUNNING."""
    yield from _file_store()
    uri = places.of_environment()
    if not uri.startswith(places.SQLITE):
        advice = "a server looks after itself; nothing was asked"
        yield note(f"runs are tracked at {redact(uri)}", advice)
        return
    path = Path(uri.removeprefix(places.SQLITE))
    if not path.exists():
        yield ok(f"{path} does not exist yet; the first run makes it")
        return

    damage = _damage(path)
    if damage:
        advice = (
            f"`cp` it elsewhere, then `sqlite3 {path} .recover | sqlite3 new.db`; "
            "or move it away: DVC has the models"
        )
        yield problem(f"{path} is damaged: {damage}", advice)
        return
    outdated = list(_schema(path, uri))
    if outdated:
        yield from outdated
        return
    yield from _runs(path, uri)


def spool() -> Iterator[Finding]:
    """No entry waits for MLflow's database; one that it did not take is sent when it answers."""
    waiting = sorted(SPOOL.glob("*.jsonl"))
    for path in waiting:
        try:
            # as `replay` reads it: a kill may have cut a letter of a later line
            lines = path.read_text(errors="replace").splitlines()
            uri = str(json.loads(lines[0])["uri"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            # without its first line nobody knows which database it is for
            message = f"{path} cannot be read: {error!r}"[:200]
            advice = "move it away: every run warns of it, and none sends it"
            yield problem(message, advice, functools.partial(_quarantine_spool, path))
            continue
        entries = count(len(lines), "entry", "entries")
        message = f"{path} holds {entries} for {redact(uri)}, not sent yet"
        fix = functools.partial(_send, path, uri)
        yield problem(message, "the next run sends them; do it now", fix)
    if not waiting:
        yield ok("no entry waits for MLflow's database")


def optuna() -> Iterator[Finding]:
    """Studies are whole; trials whose worker was killed are queued again by the next sweep."""
    for path in [Path("optuna.db"), *sorted(Path("sweeps").rglob("optuna.db"))]:
        if path.exists():
            yield from _studies(path)


def _file_store() -> Iterator[Finding]:
    experiments = list(Path("mlruns").glob("*/meta.yaml"))
    if experiments:
        yield note(
            f"mlruns/ holds {count(len(experiments), 'experiment')} of MLflow's file store, "
            "which it refuses since 3.13: nobody reads them",
            "`mlflow migrate-filestore --help` moves them into a database",
        )


def _query(path: Path, query: str) -> list[tuple[Any, ...]]:
    """All rows; the file is opened for reading alone."""
    # mode=ro: by default SQLite makes a file that is missing
    uri = f"{path.absolute().as_uri()}?mode=ro"
    # seconds; a sweep's workers may be writing
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()


def _damage(path: Path) -> str | None:
    """What SQLite reports about a file that it cannot trust."""
    try:
        # less than `integrity_check`: whether each index agrees with its table takes long to say
        rows = _query(path, "pragma quick_check")
    except sqlite3.Error as error:
        return str(error)
    return None if rows == [("ok",)] else one_line(rows[0][0], 120)


def _schema(path: Path, uri: str) -> Iterator[Finding]:
    """Nothing where MLflow can use the database as it is."""
    try:
        if not _query(path, "select 1 from sqlite_master"):
            yield note(f"{path} is empty", "the next run fills it")
            return
        version = str(_query(path, "select version_num from alembic_version")[0][0])
    except (sqlite3.Error, IndexError) as error:
        yield _foreign(path, error)
        return

    known, heads = _migrations()
    # no heads: MLflow is not installed, or keeps its migrations elsewhere; nothing can be said
    if not heads or version in heads:
        return
    if version in known:
        message = (
            f"{path} has the schema {version} of an older MLflow; "
            f"the installed one wants {abbreviate(sorted(heads))}"
        )
        advice = f"MLflow refuses it: `mlflow db upgrade {uri}`, after a copy"
        yield problem(message, advice, functools.partial(_upgrade, path, uri, version))
    else:
        yield problem(
            f"{path} has the schema {version}, which is newer than the installed MLflow",
            "install the MLflow that wrote it (`pip install -c requirements.lock mlflow`); "
            "there is no way back",
        )


def _foreign(path: Path, error: Exception) -> Finding:
    message = f"{path} is no database of MLflow: {error}"
    return problem(message, "move it away; the next run makes one")


def _migrations() -> tuple[set[str], set[str]]:
    """All schemas that the installed MLflow knows, and the newest; read from its sources."""
    package = importlib.util.find_spec("mlflow")  # finds a package without importing it
    if package is None or package.origin is None:
        return set(), set()

    known: set[str] = set()
    followed: set[str] = set()
    for path in Path(package.origin).parent.glob("store/db_migrations/versions/*.py"):
        text = path.read_text(errors="replace")
        known.update(re.findall(r"^revision\b[^=]*= *[\"'](\w+)", text, re.M))
        for names in re.findall(r"^down_revision\b[^=]*=(.*)", text, re.M):
            followed.update(re.findall(r"\w+", names))
    return known, known - followed


def _upgrade(path: Path, uri: str, version: str) -> str:
    """Lets MLflow change the database, after a copy of it."""
    for run, _, process in _query(path, _RUNNING):
        if process and not gone(process):
            raise UserError(f"not while run {run} is being written")

    copy = path.with_name(f"{path.name}.{version}")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        # unlike a copy of the file, it has what still lies in the journal
        source.backup(target)
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else "it says nothing"
        raise UserError(f"`mlflow db upgrade {uri}` fails: {reason}; the copy is {copy}")
    return f"upgraded {path}; {copy} is as it was"


def _runs(path: Path, uri: str) -> Iterator[Finding]:
    """A run that is RUNNING is being written by a live process."""
    try:
        running = _query(path, _RUNNING)
    except sqlite3.Error as error:
        yield _foreign(path, error)
        return

    dead = []
    experiments: set[str] = set()
    for run, experiment, process in running:
        if process and gone(process):
            dead.append(run)
            experiments.add(str(experiment))
    if dead:
        message = f"{count(len(dead), 'run')} RUNNING without a live process: {abbreviate(dead)}"
        advice = "the next run of the experiment marks them KILLED; do it now"
        yield problem(message, advice, functools.partial(_mark_killed, uri, sorted(experiments)))
    alive = len(running) - len(dead)
    if alive:
        yield note(f"{count(alive, 'run')} being written")
    if not dead:
        yield ok(
            f"{path} is whole, of the schema that the installed MLflow wants, "
            "and no run in it is orphaned"
        )


def _mark_killed(uri: str, experiments: list[str]) -> str:
    from goodfit.tracking import database, runs

    client = database.connect(uri)
    for experiment in experiments:
        runs.mark_killed(client, experiment)
    return "marked them KILLED"


def _quarantine_spool(path: Path) -> str:
    return f"moved it to {quarantine(path, QUARANTINE)}"


def _send(path: Path, uri: str) -> str:
    from goodfit.tracking import database

    database.connect(uri)  # sends what waits for this database
    if path.exists():
        raise UserError("MLflow's database does not take them")
    return f"sent what waited in {path}"


def _studies(path: Path) -> Iterator[Finding]:
    damage = _damage(path)
    if damage:
        advice = (
            f"`sqlite3 {path} .recover | sqlite3 new.db` saves what can be read; "
            "without it a sweep begins anew"
        )
        yield problem(f"{path} is damaged: {damage}", advice)
        return
    try:
        running = _query(path, _TRIALS)
    except sqlite3.Error as error:
        message = f"{path} is no database of Optuna: {error}"
        yield problem(message, "move it away; the next sweep makes one")
        return

    dead = []
    for study, number, worker in running:
        # Optuna keeps an attribute as JSON, so the process stands in quotes
        if worker and gone(worker.strip('"')):
            dead.append(f"{study} {number}")
    if dead:
        trials = count(len(dead), "trial")
        message = f"{path}: {trials} running without a live worker: {abbreviate(dead)}"
        yield note(message, "the next sweep of the study queues them again")
    yield ok(f"{path} is whole; {count(len(running) - len(dead), 'trial')} running")

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

from goodfit.doctor.finding import Finding, found, listed, note, ok, quarantine
from goodfit.errors import UserError
from goodfit.system.processes import gone
from goodfit.system.secrets import redact
from goodfit.tracking.spool import SPOOL

_SQLITE = "sqlite:///"
_RUNNING = """select runs.run_uuid, runs.experiment_id, tags.value from runs
    left join tags on tags.run_uuid = runs.run_uuid and tags.key = 'goodfit.process'
    where runs.status = 'RUNNING' and runs.lifecycle_stage = 'active'"""
_TRIALS = """select studies.study_name, trials.number, attributes.value_json from trials
    join studies on studies.study_id = trials.study_id
    left join trial_user_attributes attributes on attributes.trial_id = trials.trial_id and attributes.key = 'worker'
    where trials.state = 'RUNNING'"""


def mlflow() -> Iterator[Finding]:
    """The tracking database is whole, of the form that the installed MLflow wants, and its runs
    tell the truth.
    """
    yield from _old_store()
    uri = os.environ.get("MLFLOW_TRACKING_URI", f"{_SQLITE}mlflow.db")
    if not uri.startswith(_SQLITE):
        yield note(
            f"runs are tracked at {redact(uri)}", "a server looks after itself; nothing was asked"
        )
        return
    path = Path(uri.removeprefix(_SQLITE))
    if not path.exists():
        yield ok(f"{path} does not exist yet; the first run makes it")
        return
    if fault := _fault(path):
        advice = f"`cp` it elsewhere, then `sqlite3 {path} .recover | sqlite3 new.db`; or move it away: DVC has the models"
        yield found(f"{path} is damaged: {fault}", advice)
        return
    if old := list(_schema(path, uri)):
        yield from old
        return
    yield from _runs(path, uri)


def _old_store() -> Iterator[Finding]:
    if old := sorted(Path("mlruns").glob("*/meta.yaml")):
        advice = "`mlflow migrate-filestore --help` moves them into a database"
        what = f"mlruns/ holds {len(old)} experiments of MLflow's file store, which it refuses since 3.13"
        yield note(f"{what}: nobody reads them", advice)


def _ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    ) as connection:
        return connection.execute(query).fetchall()


def _fault(path: Path) -> str:
    """What SQLite finds wrong with a file, "" for nothing."""
    try:
        rows = _ask(path, "pragma quick_check")
    except sqlite3.Error as error:
        return str(error)
    return "" if rows == [("ok",)] else " ".join(str(rows[0][0]).split())[:120]


def _schema(path: Path, uri: str) -> Iterator[Finding]:
    """Nothing where MLflow can use the database as it is."""
    try:
        if not _ask(path, "select 1 from sqlite_master"):
            yield note(f"{path} is empty", "the next run fills it")
            return
        version = str(_ask(path, "select version_num from alembic_version")[0][0])
    except (sqlite3.Error, IndexError) as error:
        yield found(
            f"{path} is no database of MLflow: {error}", "move it away; the next run makes one"
        )
        return
    known, heads = _migrations()
    if not heads or version in heads:
        return
    if version in known:
        advice = f"MLflow refuses it: `mlflow db upgrade {uri}`, after a copy"
        what = f"{path} has the schema {version} of an older MLflow; the installed one wants {listed(sorted(heads))}"
        yield found(what, advice, functools.partial(_upgrade, path, uri, version))
    else:
        advice = "install the MLflow that wrote it (`pip install -c requirements.lock mlflow`); there is no way back"
        yield found(
            f"{path} has the schema {version}, which is newer than the installed MLflow", advice
        )


def _migrations() -> tuple[set[str], set[str]]:
    """All schemas that the installed MLflow knows, and those that none follows; read from its
    sources.
    """
    place = importlib.util.find_spec("mlflow")  # finds a package without importing it
    if place is None or place.origin is None:
        return set(), set()
    known: set[str] = set()
    followed: set[str] = set()
    for path in Path(place.origin).parent.glob("store/db_migrations/versions/*.py"):
        text = path.read_text(errors="replace")
        known |= set(re.findall(r"^revision\b[^=]*= *[\"'](\w+)", text, re.M))
        for line in re.findall(r"^down_revision\b[^=]*=(.*)", text, re.M):
            followed |= set(re.findall(r"\w+", line))
    return known, known - followed


def _upgrade(path: Path, uri: str, version: str) -> str:
    """Makes a copy that has all that was written, also what still lies in the journal; then lets
    MLflow change it.
    """
    if busy := [run for run, _, by in _ask(path, _RUNNING) if by and not gone(by)]:
        raise UserError(f"not while run {busy[0]} is being written")
    copy = path.with_name(f"{path.name}.{version}")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise UserError(f"`mlflow db upgrade` fails: {reason}; the copy is {copy}")
    return f"upgraded {path}; {copy} is as it was"


def _runs(path: Path, uri: str) -> Iterator[Finding]:
    """A run that is RUNNING is being written by somebody."""
    try:
        running = _ask(path, _RUNNING)
    except sqlite3.Error as error:
        yield found(
            f"{path} is no database of MLflow: {error}", "move it away; the next run makes one"
        )
        return
    dead = [(run, experiment) for run, experiment, by in running if gone(by or "")]
    if dead:
        what = f"{len(dead)} runs are RUNNING, but their process is gone: {listed([run for run, _ in dead])}"
        fix = functools.partial(_bury, uri, sorted({str(experiment) for _, experiment in dead}))
        yield found(what, "the next run of the experiment marks them KILLED; do it now", fix)
    if alive := len(running) - len(dead):
        yield note(f"{alive} runs are being written")
    if not dead:
        yield ok(
            f"{path} is whole, of the schema that the installed MLflow wants, and no run in it is orphaned"
        )


def _bury(uri: str, experiments: list[str]) -> str:
    from goodfit.tracking import database, runs

    client = database.connect(uri)
    for experiment in experiments:
        runs.mark_killed(client, experiment)
    return "marked them KILLED"


def spool() -> Iterator[Finding]:
    """Entries that MLflow's database did not take are sent as soon as it answers."""
    waiting = sorted(SPOOL.glob("*.jsonl"))
    for path in waiting:
        try:
            first = json.loads(path.read_text().splitlines()[0])
            uri = str(first["uri"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            # the next training would stop at it
            advice = "move it away: every training would fail on it"
            yield found(
                f"{path} cannot be read: {error!r}"[:200],
                advice,
                functools.partial(_put_away, path),
            )
            continue
        entries = len(path.read_text(errors="replace").splitlines())
        advice = "the next run sends them; do it now"
        yield found(
            f"{entries} entries for {redact(uri)} wait in {path}",
            advice,
            functools.partial(_send, path, uri),
        )
    if not waiting:
        yield ok("no entry waits for MLflow's database")


def _put_away(path: Path) -> str:
    return f"moved it to {quarantine(path, Path('build/quarantine'))}"


def _send(path: Path, uri: str) -> str:
    from goodfit.tracking import database

    database.connect(uri)
    if path.exists():
        raise UserError("MLflow's database does not take them")
    return f"sent what waited in {path}"


def optuna() -> Iterator[Finding]:
    """Studies are whole; trials whose worker was killed are queued again by the next sweep."""
    for path in [Path("optuna.db"), *sorted(Path("sweeps").rglob("optuna.db"))]:
        if not path.exists():
            continue
        if fault := _fault(path):
            advice = f"`sqlite3 {path} .recover | sqlite3 new.db` saves what can be read; without it a sweep begins anew"
            yield found(f"{path} is damaged: {fault}", advice)
            continue
        try:
            running = _ask(path, _TRIALS)
        except sqlite3.Error as error:
            yield found(
                f"{path} is no database of Optuna: {error}",
                "move it away; the next sweep makes one",
            )
            continue
        dead = [
            f"{study} {number}"
            for study, number, worker in running
            if gone((worker or "").strip('"'))
        ]
        if dead:
            what = f"{path}: the workers of {len(dead)} running trials are gone ({listed(dead)})"
            yield note(what, "the next sweep of the study queues them again")
        yield ok(f"{path} is whole; {len(running) - len(dead)} trials are running")

"""What MLflow has of an experiment's model, looked up without importing MLflow, which takes 2 s.

A file is read by SQL, a server is asked over HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from goodfit.errors import UserError
from goodfit.system.secrets import redact
from goodfit.tracking import places
from goodfit.tracking.places import sqlite_path

ALIAS = "champion"
RECREATED_TAG = "goodfit.recreated_from"  # of a run that stands for one that is lost: its id
# of a version: the hashes of the model's files, and of the code that answers with them
MODEL_TAG, CODE_TAG = "goodfit.model_sha256", "goodfit.answering_code"
MODEL_FILES = ("weights.pt", "spec.json", "config.yaml")
RUN_FILES = ("model/train.json", "evaluation/evaluation.json")  # among a run's artifacts
_TIMEOUT = 3.0  # seconds of a question to a server
_API = "api/2.0/mlflow"
_NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_RUN = """
    select runs.run_uuid, runs.lifecycle_stage, runs.artifact_uri from runs
    where runs.run_uuid = :id or runs.run_uuid in (
        select run_uuid from tags where tags.key = :recreated and tags.value = :id
    )
"""
_VERSIONS = """
    select versions.version, versions.storage_location, files.value, code.value
    from model_versions versions
    left join model_version_tags files on files.name = versions.name
        and files.version = versions.version and files.key = :files
    left join model_version_tags code on code.name = versions.name
        and code.version = versions.version and code.key = :code
    where versions.name = :name and versions.current_stage <> 'Deleted_Internal'
"""
_METRICS = "select key from latest_metrics where run_uuid = :id"
_PARAMS = "select 1 from params where run_uuid = :id limit 1"
_CHAMPION = "select version from registered_model_aliases where name = :name and alias = :alias"

Rows = Callable[[str, Mapping[str, str]], list[Any]]


class NoAnswerError(UserError):
    """A server does not answer, or refuses: what it has is not known."""


@dataclass(frozen=True)
class Wanted:
    """What MLflow should have: the run, with the score, and a version of these files and code."""

    name: str
    run_id: str
    metrics: frozenset[str]
    model_sha256: str
    code: str


@dataclass(frozen=True)
class FoundRun:
    """A run that stands for the training; `is_whole` when it has numbers and files."""

    run_id: str
    is_deleted: bool
    is_whole: bool


@dataclass(frozen=True)
class Found:
    """What MLflow has: None for what it has not. `version` can be loaded."""

    run: FoundRun | None = None
    version: str | None = None
    champion: str | None = None


def model_digest(hashes: Sequence[str]) -> str:
    """One hash of a model's files, by which it is known; `hashes` are those of MODEL_FILES."""
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def look(uri: str, wanted: Wanted) -> Found:
    """What the database or the server at `uri` has of an experiment.

    Raises:
        NoAnswerError: the server does not answer.
        UserError: the database cannot be read.
    """
    if urlsplit(uri).scheme in ("http", "https"):
        return _ask(uri, wanted)
    path = sqlite_path(uri)
    # an empty file is a database without tables, which MLflow fills
    if path is not None and not (path.exists() and path.stat().st_size):
        return Found()
    with _rows(uri) as rows:
        run = _run(uri, rows, wanted)
        return Found(run, _version(uri, rows, wanted), _champion(rows, wanted.name))


def has_files(uri: str, location: str, *names: str) -> bool:
    """Whether a folder of artifacts has these files.

    What does not lie beside a database's file, but on a server or a machine's own disk, is not
    looked for.
    """
    database, folder = sqlite_path(uri), places.folder(location)
    if database is None or folder is None:
        return True
    if not folder.is_relative_to(places.artifacts(database)):
        return True
    return all((folder / name).exists() for name in names)


@contextmanager
def _rows(uri: str) -> Iterator[Rows]:
    """Asks a database by SQL.

    Raises:
        UserError: it cannot be read.
    """
    path = sqlite_path(uri)
    try:
        if path is not None:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
                yield lambda query, values: file.execute(query, values).fetchall()
            return
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be read: {error}; `make doctor` says more") from None

    from sqlalchemy import NullPool, create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_engine(uri, poolclass=NullPool).connect() as server:
            yield lambda query, values: list(server.execute(text(query), values))
    except SQLAlchemyError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(redact(f"tracking.uri={uri} cannot be read: {reason}")) from None


def _run(uri: str, rows: Rows, wanted: Wanted) -> FoundRun | None:
    runs = []
    for run_id, stage, location in rows(_RUN, {"id": wanted.run_id, "recreated": RECREATED_TAG}):
        values = {"id": run_id}
        metrics = {row[0] for row in rows(_METRICS, values)}
        has_files_too = has_files(uri, location, *RUN_FILES)
        is_whole = bool(rows(_PARAMS, values)) and wanted.metrics <= metrics and has_files_too
        runs.append(FoundRun(run_id, stage != "active", is_whole))
    return _best(runs)


def _best(runs: list[FoundRun]) -> FoundRun | None:
    """A run that is active, and rather a whole one."""
    return min(runs, key=lambda run: (run.is_deleted, not run.is_whole), default=None)


def _version(uri: str, rows: Rows, wanted: Wanted) -> str | None:
    for version, location, files, code in rows(_VERSIONS, _of(wanted.name)):
        is_same = (files, code) == (wanted.model_sha256, wanted.code)
        if is_same and has_files(uri, location or "", "MLmodel"):
            return str(version)
    return None


def _champion(rows: Rows, name: str) -> str | None:
    # an alias may name a version that is gone
    versions = {str(row[0]) for row in rows(_VERSIONS, _of(name))}
    for (version,) in rows(_CHAMPION, {"name": name, "alias": ALIAS}):
        if str(version) in versions:
            return str(version)
    return None


def _of(name: str) -> dict[str, str]:
    """What the question for versions asks about."""
    return {"name": name, "files": MODEL_TAG, "code": CODE_TAG}


def _ask(uri: str, wanted: Wanted) -> Found:
    runs = []
    for answer in _runs_of_server(uri, wanted):
        info, data = answer["info"], answer.get("data", {})
        metrics = {metric["key"] for metric in data.get("metrics", [])}
        is_whole = bool(data.get("params")) and wanted.metrics <= metrics
        runs.append(FoundRun(info["run_id"], info["lifecycle_stage"] != "active", is_whole))

    query = {"filter": f"name = '{wanted.name}'", "max_results": "10000"}
    version = None
    for model in _call(uri, "model-versions/search", query).get("model_versions", []):
        tags = {tag["key"]: tag["value"] for tag in model.get("tags", [])}
        if (tags.get(MODEL_TAG), tags.get(CODE_TAG)) == (wanted.model_sha256, wanted.code):
            version = str(model["version"])
    champion = _call(uri, "registered-models/alias", {"name": wanted.name, "alias": ALIAS})
    return Found(_best(runs), version, champion.get("model_version", {}).get("version"))


def _runs_of_server(uri: str, wanted: Wanted) -> list[dict[str, Any]]:
    runs = []
    own = _call(uri, "runs/get", {"run_id": wanted.run_id})
    if "run" in own:
        runs.append(own["run"])
    experiment = _call(uri, "experiments/get-by-name", {"experiment_name": wanted.name})
    if "experiment" in experiment:
        body = {
            "experiment_ids": [experiment["experiment"]["experiment_id"]],
            "filter": f"tags.`{RECREATED_TAG}` = '{wanted.run_id}'",
        }
        runs += _call(uri, "runs/search", body=body).get("runs", [])
    return runs


def _call(
    uri: str, method: str, query: Mapping[str, str] | None = None, body: object = None
) -> dict[str, Any]:
    """What MLflow's server answers; nothing where it has no such thing.

    Raises:
        NoAnswerError: it does not answer, or refuses.
    """
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    question = f"?{urlencode(query)}" if query else ""
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/{_API}/{method}{question}"
    data = json.dumps(body).encode() if body else None
    headers = {"Content-Type": "application/json", **_login(parts.username, parts.password)}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - http or https
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            return dict(json.loads(answer.read() or b"{}"))
    except urllib.error.HTTPError as error:
        if _error_code(error) in _NOT_FOUND:
            return {}
        raise NoAnswerError(redact(f"tracking.uri={uri} answers with HTTP {error.code}")) from None
    except (OSError, ValueError) as error:
        raise NoAnswerError(redact(f"tracking.uri={uri} does not answer: {error}")) from None


def _error_code(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read()).get("error_code"))
    except (OSError, ValueError, AttributeError):
        return ""


def _login(user: str | None, password: str | None) -> dict[str, str]:
    """MLflow's own variables; they win over a name in the URL, as MLflow has it."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    user = os.environ.get("MLFLOW_TRACKING_USERNAME", user or "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD", password or "")
    if user:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {"Authorization": f"Bearer {token}"} if token else {}

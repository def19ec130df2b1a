"""One training is one MLflow run: made safely, written in few calls, ended with the truth."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodfit.errors import PrunedError, UserError
from goodfit.files import alone, replacing
from goodfit.mask import mask
from goodfit.post import Post, replay
from goodfit.process import gone, identity

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
_FULL = 900  # metrics in one call; the server takes at most 1,000
_OFTEN = 2.0  # seconds between two calls, so that a long training's curves can be watched
_LONGEST = 5_000  # characters of a parameter; MLflow takes 6,000
_PROCESS = "goodfit.process"

# neither the usage report nor the banner about it belongs into a training run
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a traceback of what it raises as well


class Run:
    """An MLflow run that this process writes: values wait in memory and leave in batches."""

    silent = False

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self._post = Post(client, client.tracking_uri, run_id)
        self._waiting: list[Any] = []
        self._sent = time.monotonic()
        self._known: dict[str, int] = {}  # the last step that the run has of each metric

    def go_on(self) -> None:
        """The run had been cut: what it has already is not written again."""
        for name in self.client.get_run(self.run_id).data.metrics:
            history = self.client.get_metric_history(self.run_id, name)
            self._known[name] = max(metric.step for metric in history)

    def log(self, row: Mapping[str, float], step: int = 0) -> None:
        """Keeps a row of metrics; hands them on every two seconds, or when a call is full."""
        now = int(time.time() * 1000)
        new = {name: float(value) for name, value in row.items() if step > self._known.get(name, -1)}
        self._waiting += [(name, value, now, step) for name, value in new.items()]
        if len(self._waiting) >= _FULL or time.monotonic() - self._sent > _OFTEN:
            self._hand_on()

    def flush(self) -> None:
        """All metrics are in the database, or in the file that waits for it."""
        self._hand_on()
        self._post.drain()

    def tag(self, **tags: str) -> None:
        """Tags named goodfit.<key>."""
        self._post.put(tags={f"goodfit.{key}": mask(value) for key, value in tags.items()})

    def text(self, path: str, content: str, config: str = "") -> None:
        """A text artifact, with secrets masked."""
        self._post.put(text=[path, mask(content, config)])

    def folder(self, path: Path, place: str, *, later: Path | None = None) -> None:
        """All files of a folder as artifacts under `place`; where that fails, once more from where they lie `later`."""
        try:
            self.client.log_artifacts(self.run_id, str(path), place)
        except Exception as error:
            self._post.late(error, folder=[str((later or path).resolve()), place])

    def _hand_on(self) -> None:
        """92 microseconds a metric instead of 5,450 in a call of its own (sqlite)."""
        while self._waiting:
            self._post.put(metrics=self._waiting[:_FULL])
            self._waiting = self._waiting[_FULL:]
        self._sent = time.monotonic()

    @property
    def experiment(self) -> str:
        """The number of the experiment that the run belongs to."""
        return str(self.client.get_run(self.run_id).info.experiment_id)

    def children(self, filter_: str) -> list[Run]:
        """Runs nested in this one that also satisfy the filter."""
        nested = f"tags.`mlflow.parentRunId` = '{self.run_id}' AND {filter_}"
        return [Run(self.client, found.info.run_id) for found in self.client.search_runs([self.experiment], nested)]

    def reopen(self) -> None:
        """The run is RUNNING, and this process is the one that writes it."""
        self._post.put(tags={_PROCESS: identity()}, status=RUNNING)
        self._post.drain()

    def end(self, status: str) -> None:
        """The last word about the run."""
        self._hand_on()
        self._post.put(status=status, time=int(time.time() * 1000))
        self._post.drain()


class _Silent(Run):
    """What the other devices of a training have: one of them writes for all."""

    silent = True

    def __init__(self) -> None:
        self.run_id = ""

    def log(self, row: Mapping[str, float], step: int = 0) -> None:
        pass

    def flush(self) -> None:
        pass

    def tag(self, **tags: str) -> None:
        pass

    def reopen(self) -> None:
        pass

    def end(self, status: str) -> None:
        pass


def silent() -> Run:
    """A run that nobody reads."""
    return _Silent()


def connect(uri: str) -> MlflowClient:
    """A client on a database that exists: of several processes that start together, one makes it.

    Without the lock, 7 of 8 processes on a fresh sqlite file die of "duplicate column name".
    """
    from mlflow import MlflowClient

    with _alone(uri), answers(uri):
        _make(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    replay(client, client.tracking_uri)
    return client


@contextmanager
def answers(uri: str) -> Iterator[None]:
    """Raises UserError where the database fails in the block; a run that has begun waits for it instead."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        reason = " ".join(str(error).partition("[SQL:")[0].split())[:300]  # without statement and values
        raise UserError(mask(f"tracking.uri={uri} does not answer: {reason}")) from error


def _make(uri: str) -> None:
    """A new database comes to its place whole: after a kill, half of MLflow's tables would stop every later run."""
    from mlflow import MlflowClient

    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    with replacing(path) as part:
        if part.is_dir():  # for a name without an ending
            part.rmdir()
        made = MlflowClient(tracking_uri=f"sqlite:///{part}", registry_uri=f"sqlite:///{part}")
        made.search_experiments(max_results=1)
        disconnect(made)


def disconnect(client: MlflowClient) -> None:
    """Closes the connections of this process: SQLite's locks do not survive that a fork inherits an open file."""
    engine = getattr(client._tracking_client.store, "engine", None)  # a server's store has none
    if engine is not None:
        engine.dispose()


def start(uri: str, experiment: str, name: str, *, tags: Mapping[str, str], params: Mapping[str, Any]) -> Run:
    """A new run in state RUNNING; runs of dead processes on this machine are first marked KILLED."""
    from mlflow.entities import Param

    client = connect(uri)
    with _alone(uri):
        found = client.get_experiment_by_name(experiment)
        if found and found.lifecycle_stage != "active":
            raise UserError(
                f"experiment '{experiment}' is deleted in {mask(uri)}; bring it back with `mlflow experiments restore "
                f"-x {found.experiment_id}`, or end it for good with `mlflow gc --experiment-ids {found.experiment_id}`"
            )
        number = found.experiment_id if found else client.create_experiment(experiment)
    bury(client, number)
    name = mask(name)
    own = {_PROCESS: identity(), "mlflow.runName": name}
    created = client.create_run(
        number, tags={**{key: mask(value) for key, value in tags.items()}, **own}, run_name=name
    )
    run = Run(client, created.info.run_id)
    values = [Param(key, mask(str(value))[:_LONGEST]) for key, value in params.items()]
    try:
        for first in range(0, len(values), 100):  # the server takes at most 100 parameters in one call
            client.log_batch(run.run_id, params=values[first : first + 100])
    except BaseException:
        run.end(FAILED)
        raise
    return run


def find(uri: str, run_id: str) -> Run | None:
    """The run of this id, None where this database does not have it, or has it in its waste bin."""
    from mlflow.exceptions import MlflowException

    client = connect(uri)
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return Run(client, run_id) if found.info.lifecycle_stage == "active" else None


@contextmanager
def truthful(run: Run) -> Iterator[Run]:
    """Ends the run as what happened in the block: FINISHED, FAILED, or KILLED if it was told to stop or pruned."""
    run.reopen()  # evaluate goes on in the run that train began
    try:
        yield run
    except (KeyboardInterrupt, SystemExit) as stop:
        run.tag(ended=f"stopped: {stop!r}")
        run.end(KILLED)
        raise
    except PrunedError as stop:
        run.tag(ended=f"pruned: {stop}")
        run.end(KILLED)  # MLflow has no word of its own for it
        raise
    except BaseException as error:
        run.tag(ended=f"{type(error).__name__}: {error}"[:_LONGEST])
        run.end(FAILED)
        raise
    run.end(FINISHED)


def data_input(run: Run, *, name: str, digest: str, source: str, context: str, profile: str) -> None:
    """Says which data the run used, as MLflow's dataset input; `digest` is a hash of at most 36 characters."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    made = Dataset(name=name, digest=digest[:36], source_type="dvc", source=source, profile=profile)
    inputs = [DatasetInput(made, [InputTag("mlflow.data.context", context)])]
    try:
        run.client.log_inputs(run.run_id, inputs)
    except MlflowException:  # another run has just made the same data set, between MLflow's look and its own insert
        run.client.log_inputs(run.run_id, inputs)


def leaves(content: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration as dotted names and values."""
    if isinstance(content, Mapping):
        return {k: v for key, item in content.items() for k, v in leaves(item, f"{prefix}{key}.").items()}
    return {prefix[:-1]: content}


def bury(client: MlflowClient, experiment: str) -> None:
    """Marks runs of dead processes KILLED: kill -9 leaves no time to say goodbye, so the next one says it for them."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        number = run.info.run_id
        # it may have ended well since it was listed: what a process that is gone left behind is its last word
        if gone(run.data.tags.get(_PROCESS, "")) and client.get_run(number).info.status == RUNNING:
            client.set_tag(number, "goodfit.ended", "the process is gone without a word")
            client.set_terminated(number, KILLED)


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """One process at a time, for a database that is a file; a server looks after itself."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///"))
    with alone(path.with_name(path.name + ".lock")):
        yield

"""One training is one MLflow run: created safely, written in few calls, ended with its status."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodfit.errors import PrunedError, UserError
from goodfit.system.processes import gone, identity, is_local
from goodfit.system.secrets import redact
from goodfit.tracking.database import connect, locked
from goodfit.tracking.spool import ENDED_TAG, Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
SEND_INTERVAL = 2.0  # seconds between two calls, so that a long training's curves can be watched
_METRICS_PER_CALL = 900  # the server takes at most 1,000
_PARAMS_PER_CALL = 100  # the server's own limit
_MAX_CHARACTERS = 5_000  # of a parameter; MLflow takes 6,000
_DIGEST_CHARACTERS = 36  # all that MLflow keeps of a data set's digest
_PROCESS_TAG = "goodfit.process"  # who writes the run
TRAINING_TAG = "goodfit.training"  # a digest of all that decides what the training computes
_TRAINED = "cost_seconds"  # a metric of a run whose training is over


class Run:
    """An MLflow run that this process writes: metrics are buffered and sent in batches."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self._outbox = Outbox(client, client.tracking_uri, run_id)
        self._buffer: list[tuple[str, float, int, int]] = []  # name, value, milliseconds, step
        self._sent_at = time.monotonic()
        self._last_step: dict[str, int] = {}  # of each metric, when the run was resumed
        self._is_open = False  # it is RUNNING, and this process is known as its writer

    @property
    def experiment(self) -> str:
        """The id of the experiment that the run belongs to."""
        return str(self.client.get_run(self.run_id).info.experiment_id)

    def children(self, condition: str) -> list[Run]:
        """Runs nested in this one that also satisfy MLflow's filter `condition`."""
        nested = f"tags.`mlflow.parentRunId` = '{self.run_id}' AND {condition}"
        runs = self.client.search_runs([self.experiment], nested)
        return [Run(self.client, run.info.run_id) for run in runs]

    def resume(self) -> None:
        """The run was interrupted: steps that it has already are not logged again."""
        for name in self.client.get_run(self.run_id).data.metrics:
            history = self.client.get_metric_history(self.run_id, name)
            self._last_step[name] = max(metric.step for metric in history)

    def reopen(self) -> None:
        """The run is RUNNING, and this process is the one that writes it."""
        if self._is_open:
            return
        # a run that is taken up by its id keeps the status with which it ended, FAILED for example
        self._outbox.put(tags={_PROCESS_TAG: identity()}, status=RUNNING)
        self._outbox.flush()

    def log(self, row: Mapping[str, float], step: int = 0) -> None:
        """Buffers a row of metrics; sends them every SEND_INTERVAL, or when a call is full."""
        now = int(time.time() * 1000)
        for name, value in row.items():
            if step > self._last_step.get(name, -1):
                self._buffer.append((name, float(value), now, step))

        is_full = len(self._buffer) >= _METRICS_PER_CALL
        if is_full or time.monotonic() - self._sent_at > SEND_INTERVAL:
            self._send_buffer()

    def tag(self, **tags: str) -> None:
        """Sets tags named goodfit.<key>."""
        self._outbox.put(tags={f"goodfit.{key}": redact(value) for key, value in tags.items()})

    def text(self, path: str, content: str, config: str | None = None) -> None:
        """Writes a text artifact, without the values of secrets that `config` refers to."""
        self._outbox.put(text=(path, redact(content, config)))

    def folder(self, path: Path, artifact_path: str, *, later: Path | None = None) -> None:
        """Copies all files of a folder to artifacts under `artifact_path`.

        If that fails they are sent once more, from `later` where the folder will have moved.
        """
        try:
            self.client.log_artifacts(self.run_id, str(path), artifact_path)
        except Exception as error:
            local = str((later or path).resolve())
            self._outbox.retry(error, folder=(local, artifact_path))

    def flush(self) -> None:
        """All metrics are in the database, or in the file that waits for it."""
        self._send_buffer()
        self._outbox.flush()

    def end(self, status: str) -> None:
        """Sends what is buffered, then the status: the last that is written of the run."""
        self._is_open = False
        self._send_buffer()
        self._outbox.put(status=status, time=int(time.time() * 1000))
        self._outbox.flush()

    def _send_buffer(self) -> None:
        # 92 microseconds a metric instead of 5,450 in a call of its own (SQLite)
        while self._buffer:
            self._outbox.put(metrics=self._buffer[:_METRICS_PER_CALL])
            self._buffer = self._buffer[_METRICS_PER_CALL:]
        self._sent_at = time.monotonic()


class _SilentRun(Run):
    """Writes nothing, and has no client and no id."""

    def __init__(self) -> None:
        pass

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
    """The run of ranks other than the first: that one writes for all."""
    return _SilentRun()


def start(
    uri: str, experiment: str, name: str, *, tags: Mapping[str, str], params: Mapping[str, Any]
) -> Run:
    """A new run in status RUNNING; runs of dead processes on this machine are first marked KILLED.

    Raises:
        UserError: the database does not answer, the experiment was deleted in it, or a process of
            this machine runs the same training (TRAINING_TAG) at this moment.
    """
    client = connect(uri)
    experiment_id = _experiment_id(client, uri, experiment)
    mark_killed(client, experiment_id)

    name = redact(name)
    all_tags = {key: redact(value) for key, value in tags.items()}
    all_tags |= {_PROCESS_TAG: identity(), "mlflow.runName": name}
    with locked(uri):  # of two that look and then create, in whatever clone, one is the second
        check_alone(client, experiment_id, tags.get(TRAINING_TAG))
        created = client.create_run(experiment_id, tags=all_tags, run_name=name)
    run = Run(client, created.info.run_id)
    run._is_open = True
    try:
        _log_params(run, params)
    except BaseException:
        run.end(FAILED)
        raise
    return run


def check_alone(
    client: MlflowClient, experiment: str, training: str | None, own: str | None = None
) -> None:
    """No other process is at the same training, in a clone that shares this MLflow for example.

    `training` is the value of TRAINING_TAG, `own` the id of the run that goes on. A process of
    another machine may be gone, which nobody here knows: of that one a line is printed.

    Raises:
        UserError: a process of this machine is.
    """
    if training is None:
        return
    same = f"attributes.status = 'RUNNING' AND tags.`{TRAINING_TAG}` = '{training}'"
    for run in client.search_runs([experiment], same):
        process = run.data.tags.get(_PROCESS_TAG, "")
        # evaluate reopens the run of a training that is over
        if run.info.run_id == own or _TRAINED in run.data.metrics or gone(process):
            continue
        told = f"the same training is running as {run.info.run_id}, by process {process}"
        if is_local(process):
            raise UserError(f"{told}; wait for it, or stop it; another seed is another training")
        print(f"{told}, unless that machine is gone", flush=True)


def find(uri: str, run_id: str) -> Run | None:
    """The run of this id, None where this database does not have it, or it was deleted.

    Raises:
        UserError: the database does not answer.
    """
    from mlflow.exceptions import MlflowException

    client = connect(uri)
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return Run(client, run_id) if run.info.lifecycle_stage == "active" else None


@contextmanager
def run_status(run: Run) -> Iterator[Run]:
    """Ends the run with the status of the block.

    FINISHED, FAILED after an error, KILLED if it was stopped or pruned.
    """
    run.reopen()  # evaluate goes on in the run that train began
    try:
        yield run
    except (KeyboardInterrupt, SystemExit) as stop:
        run.tag(ended=f"stopped: {stop!r}")
        run.end(KILLED)
        raise
    except PrunedError as stop:
        run.tag(ended=f"pruned: {stop}")
        run.end(KILLED)  # MLflow has no status of its own for it
        raise
    except BaseException as error:
        run.tag(ended=f"{type(error).__name__}: {error}"[:_MAX_CHARACTERS])
        run.end(FAILED)
        raise
    run.end(FINISHED)


def mark_killed(client: MlflowClient, experiment: str) -> None:
    """Marks the experiment's runs of dead processes on this machine KILLED.

    A process that gets SIGKILL cannot do so itself, so the next one does it.
    """
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        run_id = run.info.run_id
        process = run.data.tags.get(_PROCESS_TAG, "")
        # it may have ended well since it was listed: its own last status stands
        if gone(process) and client.get_run(run_id).info.status == RUNNING:
            client.set_tag(run_id, ENDED_TAG, "killed: its process is gone")
            client.set_terminated(run_id, KILLED)


@dataclass(frozen=True, kw_only=True)
class DataInput:
    """Data that a run used: a name, a digest, JSON on the source and on what it holds, for what."""

    name: str
    digest: str
    source: str
    context: str
    profile: str


def log_data_inputs(run: Run, inputs: Sequence[DataInput]) -> None:
    """Records which data the run used, as MLflow's dataset inputs, in one call."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    logged = []
    for data in inputs:
        dataset = Dataset(
            name=data.name,
            digest=data.digest[:_DIGEST_CHARACTERS],
            source_type="dvc",
            source=data.source,
            profile=data.profile,
        )
        logged.append(DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)]))
    try:
        run.client.log_inputs(run.run_id, logged)
    except MlflowException:
        # another run has inserted the same data set between MLflow's query and its own insert
        run.client.log_inputs(run.run_id, logged)


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """The id of an experiment, which is created if there is none of this name."""
    from mlflow.exceptions import MlflowException

    with locked(uri):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(client.create_experiment(name))
            except MlflowException as error:
                # on a server, another process has created it since
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = client.get_experiment_by_name(name)
                assert experiment is not None

    experiment_id = str(experiment.experiment_id)
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"experiment '{name}' is deleted in {redact(uri)}; "
            f"bring it back with `mlflow experiments restore -x {experiment_id}`, "
            f"or end it for good with `mlflow gc --experiment-ids {experiment_id}`"
        )
    return experiment_id


def _log_params(run: Run, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    values = [Param(key, redact(str(value))[:_MAX_CHARACTERS]) for key, value in params.items()]
    for first in range(0, len(values), _PARAMS_PER_CALL):
        run.client.log_batch(run.run_id, params=values[first : first + _PARAMS_PER_CALL])

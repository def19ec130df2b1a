"""One training is one MLflow run: made safely, written in few calls, ended with the truth."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodfit.errors import PrunedError, UserError
from goodfit.system.processes import gone, identity
from goodfit.system.secrets import redact
from goodfit.tracking.database import connect, one_process
from goodfit.tracking.spool import Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
_MOST_METRICS = 900  # in one call; the server takes at most 1,000
_MOST_PARAMETERS = 100  # in one call, by the server's own limit
_FLUSH_SECONDS = 2.0  # between two calls, so that a long training's curves can be watched
_LONGEST = 5_000  # characters of a parameter; MLflow takes 6,000
_PROCESS = "goodfit.process"


class Run:
    """An MLflow run that this process writes: values wait in memory and leave in batches."""

    silent = False

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self._outbox = Outbox(client, client.tracking_uri, run_id)
        self._waiting: list[Any] = []
        self._sent = time.monotonic()
        self._last_step: dict[str, int] = {}  # that the run has of each metric

    @property
    def experiment(self) -> str:
        """The number of the experiment that the run belongs to."""
        return str(self.client.get_run(self.run_id).info.experiment_id)

    def children(self, condition: str) -> list[Run]:
        """Runs nested in this one that also satisfy MLflow's filter `condition`."""
        nested = f"tags.`mlflow.parentRunId` = '{self.run_id}' AND {condition}"
        runs = self.client.search_runs([self.experiment], nested)
        return [Run(self.client, run.info.run_id) for run in runs]

    def resume(self) -> None:
        """The run had been cut: from now on what it has already is not written again."""
        for name in self.client.get_run(self.run_id).data.metrics:
            history = self.client.get_metric_history(self.run_id, name)
            self._last_step[name] = max(metric.step for metric in history)

    def reopen(self) -> None:
        """The run is RUNNING, and this process is the one that writes it."""
        self._outbox.put(tags={_PROCESS: identity()}, status=RUNNING)
        self._outbox.flush()

    def log(self, row: Mapping[str, float], step: int = 0) -> None:
        """Keeps a row of metrics; hands them on every two seconds, or when a call is full."""
        now = int(time.time() * 1000)
        for name, value in row.items():
            if step > self._last_step.get(name, -1):
                self._waiting.append((name, float(value), now, step))
        if len(self._waiting) >= _MOST_METRICS or time.monotonic() - self._sent > _FLUSH_SECONDS:
            self._hand_on()

    def tag(self, **tags: str) -> None:
        """Tags named goodfit.<key>."""
        self._outbox.put(tags={f"goodfit.{key}": redact(value) for key, value in tags.items()})

    def text(self, path: str, content: str, config: str = "") -> None:
        """A text artifact, without the values of secrets that `config` refers to."""
        self._outbox.put(text=[path, redact(content, config)])

    def folder(self, path: Path, place: str, *, later: Path | None = None) -> None:
        """All files of a folder as artifacts under `place`.

        Where that fails, they are sent once more from where they lie `later`.
        """
        try:
            self.client.log_artifacts(self.run_id, str(path), place)
        except Exception as error:
            self._outbox.retry(error, folder=[str((later or path).resolve()), place])

    def flush(self) -> None:
        """All metrics are in the database, or in the file that waits for it."""
        self._hand_on()
        self._outbox.flush()

    def end(self, status: str) -> None:
        """The last that is written of the run."""
        self._hand_on()
        self._outbox.put(status=status, time=int(time.time() * 1000))
        self._outbox.flush()

    def _hand_on(self) -> None:
        """92 microseconds a metric instead of 5,450 in a call of its own (sqlite)."""
        while self._waiting:
            self._outbox.put(metrics=self._waiting[:_MOST_METRICS])
            self._waiting = self._waiting[_MOST_METRICS:]
        self._sent = time.monotonic()


class _SilentRun(Run):
    """What ranks other than the first have: that one writes for all."""

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
    return _SilentRun()


def start(
    uri: str, experiment: str, name: str, *, tags: Mapping[str, str], params: Mapping[str, Any]
) -> Run:
    """A new run in state RUNNING; runs of dead processes on this machine are first marked KILLED.

    Raises:
        UserError: the database does not answer, or the experiment is in its waste bin.
    """
    client = connect(uri)
    experiment_id = _experiment(client, uri, experiment)
    mark_killed(client, experiment_id)

    name = redact(name)
    shown = {key: redact(value) for key, value in tags.items()}
    shown |= {_PROCESS: identity(), "mlflow.runName": name}
    created = client.create_run(experiment_id, tags=shown, run_name=name)
    run = Run(client, created.info.run_id)
    try:
        _log_params(run, params)
    except BaseException:
        run.end(FAILED)
        raise
    return run


def find(uri: str, run_id: str) -> Run | None:
    """The run of this id, None where this database does not have it, or has it in its waste bin."""
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
    """Ends the run as what happened in the block: FINISHED, FAILED, or KILLED if it was stopped or
    pruned.
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
        run.tag(ended=f"{type(error).__name__}: {error}"[:_LONGEST])
        run.end(FAILED)
        raise
    run.end(FINISHED)


def mark_killed(client: MlflowClient, experiment: str) -> None:
    """Marks runs of dead processes KILLED: kill -9 leaves no time, so the next process does it for
    them.
    """
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        run_id = run.info.run_id
        process = run.data.tags.get(_PROCESS, "")
        # it may have ended well since it was listed: its own last status stands
        if gone(process) and client.get_run(run_id).info.status == RUNNING:
            client.set_tag(run_id, "goodfit.ended", "the process is gone without a word")
            client.set_terminated(run_id, KILLED)


def log_data_input(
    run: Run, *, name: str, digest: str, source: str, context: str, profile: str
) -> None:
    """Says which data the run used, as MLflow's dataset input; of `digest` 36 characters are kept."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    data = Dataset(name=name, digest=digest[:36], source_type="dvc", source=source, profile=profile)
    inputs = [DatasetInput(data, [InputTag("mlflow.data.context", context)])]
    try:
        run.client.log_inputs(run.run_id, inputs)
    except MlflowException:
        # another run has just made the same data set, between MLflow's look and its own insert
        run.client.log_inputs(run.run_id, inputs)


def _experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The number of an experiment, made where there is none of this name."""
    with one_process(uri):
        known = client.get_experiment_by_name(name)
        if known is None:
            return str(client.create_experiment(name))
    number = known.experiment_id
    if known.lifecycle_stage != "active":
        raise UserError(
            f"experiment '{name}' is deleted in {redact(uri)}; "
            f"bring it back with `mlflow experiments restore -x {number}`, "
            f"or end it for good with `mlflow gc --experiment-ids {number}`"
        )
    return str(number)


def _log_params(run: Run, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    values = [Param(key, redact(str(value))[:_LONGEST]) for key, value in params.items()]
    for first in range(0, len(values), _MOST_PARAMETERS):
        run.client.log_batch(run.run_id, params=values[first : first + _MOST_PARAMETERS])

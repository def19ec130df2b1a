"""A sweep in MLflow: one parent run with plots and a summary, and the winner's values at the end.

Hydra's sweeper calls `Tracking` (hydra.sweeper.listener, see conf/search/). Connections are closed
after each call: workers are forks, and SQLite's locks do not survive that a fork inherits an open
file.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from goodfit.config import check, gallery, regularization, tree
from goodfit.errors import UserError
from goodfit.launch import devices
from goodfit.paths import Paths
from goodfit.records import Manifest
from goodfit.system.claim import claim
from goodfit.tracking import database, places, runs
from goodfit.tracking.spool import delete_ended_tag

if TYPE_CHECKING:
    import optuna
    from mlflow import MlflowClient
    from optuna.trial import FrozenTrial

    from hydra_plugins.hydra_optuna_sweeper._space import Space
    from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

MIN_SEEDS = 3  # with two, the interval is twelve times as wide as with many
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
_DIRECTIONS = {"min": "minimize", "max": "maximize"}
_DATA_KEYS = {"experiment", "name", "data"}


def parent_run_id(study: optuna.Study, uri: str) -> str | None:
    """The sweep's run in this tracking database.

    A machine that helps with the study may write to a database of its own.
    """
    run_id: str | None = study.user_attrs.get(parent_attribute(uri))
    return run_id


def parent_attribute(uri: str) -> str:
    """The study's attribute that holds the id of the parent run in this tracking database."""
    path = uri.removeprefix("sqlite:///")
    address = uri if path == uri else f"{socket.gethostname()}:{Path(path).resolve()}"
    return f"mlflow_run_{hashlib.sha256(address.encode()).hexdigest()[:8]}"


class Tracking:
    """Writes a sweep to MLflow, and confirms its winner.

    The `top` best trials and the values before are trained again with `seeds` seeds each.

    Raises:
        UserError: `top` or `seeds` is no whole number, or is too small.
    """

    uri: str  # of the tracking database; set when the sweep begins

    def __init__(self, *, top: int, seeds: int) -> None:
        is_whole = isinstance(top, int) and isinstance(seeds, int)
        if not is_whole or top < 0 or seeds < MIN_SEEDS:
            raise UserError(f"expected top >= 0 and seeds >= {MIN_SEEDS}, got {top} and {seeds}")
        self.top = top
        self.seeds = seeds
        self._claimed = ExitStack()

    def check(self, job: DictConfig) -> None:
        """Checks a configuration at a corner of the space.

        Raises:
            UserError: no trial could train with it, its data are not prepared, or the study's
                direction is not that of the score.
        """
        content, _ = regularization.settled(job, job.hydra.overrides.task)
        cfg = OmegaConf.create(content)
        check.check(cfg)
        expected = _DIRECTIONS[check.mode(cfg)]
        direction = str(job.hydra.sweeper.direction).lower()
        if direction != expected:
            raise UserError(
                f"hydra.sweeper.direction={direction}, but val/{cfg.task.monitor} "
                f"is to be {expected}d; set hydra.sweeper.direction={expected}"
            )
        prepared = Paths(cfg.name).prepared
        if not prepared.exists():
            raise UserError(
                f"{prepared} does not exist; make it with `{gallery.command('prepare', cfg.name)}`"
            )

    def began(self, study: optuna.Study, sweep: Sweep) -> None:
        """Starts the parent run, or reopens it where the study is resumed.

        Raises:
            UserError: the trials' scores would not compare, a constraint can never be checked, the
                study's name holds a quote, the database does not answer, or another process of this
                machine runs the same sweep.
        """
        self.uri = str(sweep.config.tracking.uri)
        if "'" in study.study_name:
            raise UserError(
                f"hydra.sweeper.study_name={study.study_name}: MLflow finds no run by a name with "
                "a quote; choose another one"
            )
        check_names(sweep.space)
        _check_same_data(study, str(sweep.config.name))
        self._claim(sweep.url, study.study_name)
        trainer = OmegaConf.create({"trainer": sweep.config.trainer})
        hint = devices.slow_precision_hint(devices.resolved(trainer))
        if hint:
            print(hint, flush=True)
        with self._connected():
            run_id = parent_run_id(study, self.uri)
            run = runs.find(self.uri, run_id) if run_id else None
            if run is None:
                self._start(study, sweep)
            else:
                self._reopen(run, study)

    def trial_ended(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Writes the trial's state and value to its run; a worker that was killed could not."""
        is_complete = trial.state.name == "COMPLETE"
        with self._connected() as client:
            run = self._parent_run(client, study)
            runs.mark_killed(client, run.experiment)
            condition = (
                f"tags.`goodfit.study` = '{study.study_name}' "
                f"AND tags.`goodfit.trial` = '{trial.number}'"
            )
            for child in run.children(condition):
                child.tag(trial_state=_STATES[trial.state.name])
                if is_complete:
                    child.log({"objective": trial.values[0]})
                # before this process forks the next worker, which would inherit SQLite's mutexes
                # locked by a thread that still sends, and wait for ever at its first connection
                child.flush()

            is_repetition = "repeats" in study.user_attrs
            if is_complete and not is_repetition:
                run.log({"trial": trial.values[0], "best": study.best_value}, trial.number)
                run.flush()

    def ended(self, study: optuna.Study, sweep: Sweep) -> None:
        """Writes plots and a summary, and conf/tuned/<experiment>.yaml where values are better."""
        from goodfit.search import confirm, plots

        with self._connected() as client:
            plots.log(self._parent_run(client, study), study)
        lines = confirm.confirm(
            study, sweep, top=self.top, seeds=self.seeds, on_end=self.trial_ended
        )
        print("\n".join(lines), flush=True)

        summary = "\n\n".join([_note(study, sweep), *lines])
        with self._connected() as client:
            run = self._parent_run(client, study)
            run.text("summary.md", summary)
            client.set_tag(run.run_id, "mlflow.note.content", summary)
            # another machine's sweep on the same study may have been stopped meanwhile
            delete_ended_tag(client, run.run_id)
            run.end(runs.FINISHED)
        self._claimed.close()

    def stopped(self, study: optuna.Study) -> None:
        """Marks the parent run KILLED, with how to go on."""
        with self._connected() as client:
            run = self._parent_run(client, study)
            runs.mark_killed(client, run.experiment)
            run.tag(ended="the sweep was stopped; the same command goes on")
            run.end(runs.KILLED)
        self._claimed.close()

    def _claim(self, url: str, study: str) -> None:
        """Until the sweep has ended, no other process sweeps a study that lies in a file.

        A file serves one machine, whose cores the first uses; the two would both write the winner.
        On a server, other machines are meant to help.
        """
        path = places.sqlite_path(url)
        if path is None:
            return
        digest = hashlib.sha256(study.encode()).hexdigest()[:8]
        process = self._claimed.enter_context(claim(path.with_name(f"{path.name}.{digest}.lock")))
        if process:
            self._claimed.close()
            raise UserError(
                f"study {study} in {path.name} is being swept by process {process}; "
                "wait for it, or stop it"
            )

    def _start(self, study: optuna.Study, sweep: Sweep) -> None:
        run = runs.start(
            self.uri,
            str(sweep.config.name),
            f"sweep {study.study_name}",
            tags={
                "goodfit.study": study.study_name,
                "goodfit.started_by": "sweep",
                "mlflow.note.content": _note(study, sweep),
            },
            params=_params(sweep),
        )
        study.set_user_attr(parent_attribute(self.uri), run.run_id)

    def _reopen(self, run: runs.Run, study: optuna.Study) -> None:
        run.reopen()

        # a worker may end its trial just as the sweep is stopped or killed: it has no state yet
        unrecorded = _trials_without_state(run, study.study_name)
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished() and trial.number in unrecorded:
                self.trial_ended(study, trial)

    def _parent_run(self, client: MlflowClient, study: optuna.Study) -> runs.Run:
        run_id = parent_run_id(study, self.uri)
        assert run_id is not None  # `began` has set it
        return runs.Run(client, run_id)

    @contextmanager
    def _connected(self) -> Iterator[MlflowClient]:
        client = database.connect(self.uri)
        try:
            yield client
        finally:
            database.disconnect(client)


def check_names(space: Space) -> None:
    """Checks which names a space searches and constrains.

    Raises:
        UserError: other data would be searched, so that scores do not compare, or a constraint
            names what has no value.
    """
    data_keys = sorted(_DATA_KEYS & space.keys())
    if data_keys:
        raise UserError(
            f"{data_keys[0]} cannot be searched: scores on different data do not compare; "
            "sweep each by itself"
        )
    if space.custom:  # which may give a name a value in any trial
        return

    known = {*space.keys(), *space.given, "parameters"}
    for constraint in space.constraints:
        unknown = sorted(constraint.names - known)
        if unknown:
            raise UserError(
                f"hydra.sweeper.constraints: '{constraint.text}' names '{unknown[0]}', which is "
                "neither searched nor given; of a network only 'parameters' is known"
            )


def _trials_without_state(run: runs.Run, study_name: str) -> set[int]:
    """The numbers of the study's trials whose runs do not say what became of them."""
    nested = f"tags.`mlflow.parentRunId` = '{run.run_id}'"
    numbers = set()
    for child in run.client.search_runs([run.experiment], nested):
        tags = child.data.tags
        is_own = tags.get("goodfit.study") == study_name  # not a repetition's
        if is_own and "goodfit.trial_state" not in tags:
            numbers.add(int(tags["goodfit.trial"]))
    return numbers


def _check_same_data(study: optuna.Study, name: str) -> None:
    """Records the data's hash in a new study; raises UserError where it is another one."""
    digest = Manifest.read(Paths(name).prepared / "manifest.json").sha256
    recorded = study.user_attrs.get("data_sha256")
    if recorded is None or not study.get_trials(deepcopy=False):
        study.set_user_attr("data_sha256", digest)
    elif recorded != digest:
        raise UserError(
            f"study '{study.study_name}' was begun with other data "
            f"({recorded[:10]}, now {digest[:10]}); choose another hydra.sweeper.study_name"
        )


def _params(sweep: Sweep) -> dict[str, Any]:
    """The sweeper's options and the fixed overrides."""
    options = OmegaConf.to_container(sweep.options, resolve=False)
    assert isinstance(options, dict)
    options.pop("storage")  # its URL may hold a login
    given = {str(key): value for key, value in options.items() if value is not None}
    return {"fixed": " ".join(sweep.space.fixed), **tree.dotted(given)}


def _note(study: optuna.Study, sweep: Sweep) -> str:
    """Markdown for the page of the parent run."""
    rows = [f"| `{key}` | {text} |" for key, text in sweep.space.described().items()]
    return "\n".join(
        [
            f"**Sweep** of study `{study.study_name}`, fixed: `{' '.join(sweep.space.fixed)}`, "
            f"started by process {os.getpid()} of {socket.gethostname()}. "
            "Trials are nested below; a pruned one is KILLED with the tag `goodfit.trial_state` "
            "pruned. Sort by `metrics.objective`.",
            "",
            "| searched | range |",
            "|---|---|",
            *rows,
        ]
    )

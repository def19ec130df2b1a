"""A sweep in MLflow: one parent run, its plots and summary; at the end the values worth keeping.

Hydra's sweeper calls `Tracking` (hydra.sweeper.listener, see conf/search/). Connections are closed
after each call: workers are forks, and SQLite's locks do not survive that a fork inherits an open
file.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from goodfit.config import check, tree
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.system.files import read_json
from goodfit.tracking import database, runs

if TYPE_CHECKING:
    import optuna

    from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

_WORDS = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def parent(study: optuna.Study, uri: str) -> str | None:
    """The sweep's run in this tracking database; helpers on other machines may write to their own."""
    found: str | None = study.user_attrs.get(key(uri))
    return found


class Tracking:
    """Listens to a sweep.

    `top` trials and the present values are trained again with `seeds` seeds each.
    """

    def __init__(self, *, top: int, seeds: int) -> None:
        whole = isinstance(top, int) and isinstance(seeds, int)
        if (
            not whole or top < 0 or seeds < 3
        ):  # of two, the interval is twelve times as wide as of many
            raise UserError(
                f"hydra.sweeper.listener: expected top >= 0 and seeds >= 3, got {top} and {seeds}"
            )
        self.top, self.seeds = top, seeds
        self.uri = ""

    def check(self, job: DictConfig) -> None:
        """Raises UserError for a configuration that no trial could train with."""
        cfg = OmegaConf.create(tree.frozen(job))
        check.check(cfg)
        self.uri = str(cfg.tracking.uri)
        expected = {"min": "minimize", "max": "maximize"}[check.mode(cfg)]
        direction = str(job.hydra.sweeper.direction).lower()
        if direction != expected:
            raise UserError(
                f"hydra.sweeper.direction={direction}, but val/{cfg.task.monitor} is to be {expected}d; "
                f"set hydra.sweeper.direction={expected}"
            )
        if not Paths(cfg.name).prepared.exists():
            raise UserError(
                f"{Paths(cfg.name).prepared} does not exist; make it with `dvc repro prepare@{cfg.name}`"
            )

    def began(self, study: optuna.Study, sweep: Sweep) -> None:
        """Opens the parent run, or goes on in it."""
        _known_names(sweep)
        _same_data(study, str(sweep.config.name))
        found = parent(study, self.uri)
        with self._connected():
            if found and (run := runs.find(self.uri, found)):
                run.reopen()
                for trial in study.get_trials(deepcopy=False):
                    if (
                        trial.state.name == "FAIL"
                    ):  # also those that ended with the sweep that was killed
                        self.trial_ended(study, trial)
                return
            run = runs.start(
                self.uri,
                str(sweep.config.name),
                f"sweep {study.study_name}",
                tags={
                    "goodfit.study": study.study_name,
                    "mlflow.note.content": _note(study, sweep),
                },
                params=_params(sweep),
            )
            study.set_user_attr(key(self.uri), run.run_id)

    def trial_ended(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Marks the trial's run; a worker that was killed could not do so itself."""
        with self._connected() as client:
            run = self._run(client, study)
            runs.mark_killed(client, run.experiment)
            found = run.children(
                f"tags.`goodfit.study` = '{study.study_name}' AND tags.`goodfit.trial` = '{trial.number}'"
            )
            for child in found:
                child.tag(trial_state=_WORDS[trial.state.name])
                if trial.state.name == "COMPLETE":
                    child.log({"objective": trial.values[0]})
                child.flush()
            if trial.state.name == "COMPLETE" and "repeats" not in study.user_attrs:
                run.log({"trial": trial.values[0], "best": study.best_value}, trial.number)
                run.flush()

    def ended(self, study: optuna.Study, sweep: Sweep) -> None:
        """Plots, the summary, and conf/tuned/<experiment>.yaml where the sweep found better values."""
        from goodfit.search import confirm, plots

        with self._connected() as client:
            plots.log(self._run(client, study), study)
        words = confirm.confirm(
            study, sweep, top=self.top, seeds=self.seeds, on_end=self.trial_ended
        )
        print("\n".join(words), flush=True)
        with self._connected() as client:
            run = self._run(client, study)
            run.text("summary.md", "\n\n".join([_note(study, sweep), *words]))
            client.set_tag(
                run.run_id, "mlflow.note.content", "\n\n".join([_note(study, sweep), *words])
            )
            run.end(runs.FINISHED)

    def stopped(self, study: optuna.Study) -> None:
        """The parent run says that the sweep did not come to its end."""
        with self._connected() as client:
            run = self._run(client, study)
            runs.mark_killed(client, run.experiment)
            run.tag(ended="the sweep was stopped; the same command goes on")
            run.end(runs.KILLED)

    def _run(self, client: Any, study: optuna.Study) -> runs.Run:
        found = parent(study, self.uri)
        assert found is not None  # began made it
        return runs.Run(client, found)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        client = database.connect(self.uri)
        try:
            yield client
        finally:
            database.disconnect(client)


def key(uri: str) -> str:
    """The study's attribute that holds the parent run's id in this database."""
    path = uri.removeprefix("sqlite:///")
    place = uri if path == uri else f"{socket.gethostname()}:{Path(path).resolve()}"
    return f"mlflow_run_{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _same_data(study: optuna.Study, name: str) -> None:
    """Raises UserError where the study's scores were measured on other data."""
    digest = read_json(Paths(name).prepared / "manifest.json")["sha256"]
    known = study.user_attrs.get("data_sha256")
    if known is None or not study.get_trials(deepcopy=False):
        study.set_user_attr("data_sha256", digest)
    elif known != digest:
        raise UserError(
            f"study '{study.study_name}' was begun with other data ({known[:10]}, now {digest[:10]}); "
            "choose another hydra.sweeper.study_name"
        )


def _known_names(sweep: Sweep) -> None:
    """Raises UserError for a search over what makes scores incomparable, or a constraint over what
    nobody tells.
    """
    if unlike := sorted({"experiment", "name", "data"} & sweep.space.keys()):
        raise UserError(
            f"{unlike[0]} cannot be searched: scores on different data do not compare; sweep each by itself"
        )
    known = {*sweep.space.keys(), *sweep.space.given, "parameters"}
    for item in () if sweep.space.custom else sweep.space.constraints:
        if unknown := sorted(item.names - known):
            raise UserError(
                f"hydra.sweeper.constraints: '{item.text}' speaks of '{unknown[0]}', which is neither searched "
                "nor given; of a network only 'parameters' is known"
            )


def _params(sweep: Sweep) -> dict[str, Any]:
    options = OmegaConf.to_container(sweep.options, resolve=False)
    assert isinstance(options, dict)
    options.pop("storage")
    fixed = {"fixed": " ".join(sweep.space.fixed)}
    return {
        **fixed,
        **tree.dotted({str(key): value for key, value in options.items() if value is not None}),
    }


def _note(study: optuna.Study, sweep: Sweep) -> str:
    ranges = "\n".join(f"| `{key}` | {words} |" for key, words in sweep.space.described().items())
    return (
        f"**Sweep** of study `{study.study_name}`, fixed: `{' '.join(sweep.space.fixed)}`, commanded in process "
        f"{os.getpid()} of {socket.gethostname()}. Trials are nested below; a pruned one is KILLED with the tag "
        f"`goodfit.trial_state` pruned. Sort by `metrics.objective`.\n\n| searched | range |\n|---|---|\n{ranges}"
    )

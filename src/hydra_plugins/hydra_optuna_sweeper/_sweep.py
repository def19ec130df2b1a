"""A sweep: reads the space, checks it, runs the study in worker processes, says what was found."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hydra_plugins.hydra_optuna_sweeper import _deprecated as deprecated
from hydra_plugins.hydra_optuna_sweeper import _grammar as grammar
from hydra_plugins.hydra_optuna_sweeper import _space as spaces
from hydra_plugins.hydra_optuna_sweeper import _study as studies
from hydra_plugins.hydra_optuna_sweeper._constraints import violated
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._job import Job, make_sampler
from hydra_plugins.hydra_optuna_sweeper._options import check, function
from hydra_plugins.hydra_optuna_sweeper._options import directions as directions_of
from hydra_plugins.hydra_optuna_sweeper._progress import Progress
from hydra_plugins.hydra_optuna_sweeper._secrets import hidden
from hydra_plugins.hydra_optuna_sweeper._signals import Heard, ending_orderly, noted
from hydra_plugins.hydra_optuna_sweeper._workers import Workers

MISTAKE, FAILURE, INTERRUPTED, TERMINATED = 2, 1, 130, 143


class Listener(Protocol):
    """What `hydra.sweeper.listener` may be told; a project's own tracking hangs here."""

    def check(self, config: DictConfig) -> None:
        """A job's configuration at a corner of the space; raises ValueError where it cannot be right."""

    def began(self, study: optuna.Study, sweep: Sweep) -> None:
        """Before the first worker is forked; a resumed study begins again. A ValueError ends the sweep."""

    def trial_ended(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """After each trial, whatever became of it."""

    def ended(self, study: optuna.Study, sweep: Sweep) -> None:
        """After the last trial; `sweep.repeat` can run more jobs."""

    def stopped(self, study: optuna.Study) -> None:
        """The sweep was stopped before its end."""


@dataclass
class Sweep:
    """One call of the sweeper: options, the composed configuration, Hydra's context, and a launcher."""

    options: DictConfig
    config: DictConfig
    context: HydraContext
    launcher: Launcher
    url: str = ""
    space: spaces.Space = field(default_factory=lambda: spaces.Space({}))
    _heard: Heard = field(default=lambda: None, repr=False)

    def run(self, arguments: list[str]) -> None:
        """Runs the study; ends the process with 2 for a mistake, 1 where too many trials failed."""
        try:
            with ending_orderly():
                self._sweep(arguments)
        except SweepError as error:
            print(f"hydra-optuna-sweeper: {hidden(' '.join(str(error).split()))}", file=sys.stderr, flush=True)
            raise SystemExit(MISTAKE) from None
        except KeyboardInterrupt:
            self._say_stopped()
            raise SystemExit(INTERRUPTED) from None
        except SystemExit as stop:
            if stop.code == TERMINATED:
                self._say_stopped()
            raise

    def _say_stopped(self) -> None:
        resumable = self.options.storage and self.options.study_name
        advice = "; the same command goes on where it stopped" if resumable else ""
        print(f"hydra-optuna-sweeper: stopped{advice}", file=sys.stderr, flush=True)

    def _sweep(self, arguments: list[str]) -> None:
        options = self.options
        sweep_dir = Path(self.config.hydra.sweep.dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep_dir / "multirun.yaml")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        check(options)
        directions = directions_of(options.direction)
        space = self.space = self._space(arguments)
        points = self._points(space, directions)
        listener = self._listener()
        self._check_corners(space, listener)
        self._check_sampler(space, directions)
        self.url = studies.url_of(options.storage, sweep_dir)
        storage = studies.connect(self.url, heartbeat=options.heartbeat, max_retry=options.max_retry, create=True)
        study = studies.open_study(storage, options.study_name, directions, space.fingerprint())
        studies.same_start(study, self.config, space.keys())
        if revived := studies.bury(study, options.max_retry):
            print(f"{revived} trials of a sweep that was killed are tried again")
        studies.enqueue(study, self.url, points)
        n_trials = min(options.n_trials, len(points)) if points else options.n_trials
        print(f"study {study.study_name} in {hidden(self.url)}: {_already(study)}up to {n_trials} trials", flush=True)
        with noted() as heard:
            self._heard = heard
            self._watched(study, n_trials, listener)

    def _watched(self, study: optuna.Study, n_trials: int, listener: Listener | None) -> None:
        """The study from its first trial to its last, with the listener told of everything."""
        if listener:
            try:
                listener.began(study, self)
            except ValueError as error:
                raise SweepError(str(error)) from None
        try:
            self._run(study, n_trials, listener)
            if listener:
                listener.ended(study, self)
        except BaseException:
            if listener:
                listener.stopped(study)
            raise

    def _run(self, study: optuna.Study, n_trials: int, listener: Listener | None) -> None:
        """The workers' loop, with a line for each trial; then the table and optimization_results.yaml."""
        job = Job(self.launcher, self.config, self.space, self.url, study.study_name)
        running = self._workers(job, study).run(n_trials, self._deadline(), self._heard)
        with Progress(study, n_trials, self.options.timeout) as progress, contextlib.closing(running) as ended:
            for number in ended:
                trial = study.get_trials(deepcopy=False)[number]
                progress.ended(trial)
                if listener:
                    listener.trial_ended(study, trial)
                self._stop_if_hopeless(study, final=False)
        self._stop_if_hopeless(study, final=True)
        progress.end()
        results = OmegaConf.create(_results(study))
        OmegaConf.save(results, Path(self.config.hydra.sweep.dir) / "optimization_results.yaml")

    def repeat(self, study: optuna.Study, rows: Sequence[Sequence[str]], on_end: Any = None) -> list[FrozenTrial]:
        """Runs jobs with these overrides in the same workers, without pruning; a second study remembers them.

        Returns the trial of each row. The rows' hash is in that study's name, so a repetition that was
        stopped goes on, and other rows are another study.
        """
        points = spaces.Points(rows)
        digest = hashlib.sha256(points.fingerprint().encode()).hexdigest()[:8]
        directions = [direction.name.lower() for direction in study.directions]
        again = studies.open_study(
            study._storage,  # type: ignore[arg-type]
            f"{study.study_name}-repeat-{digest}",
            directions,
            points.fingerprint(),
        )
        for key, value in {**study.user_attrs, "repeats": study.study_name}.items():
            if key != "space":
                again.set_user_attr(key, value)
        studies.bury(again, self.options.max_retry)
        studies.enqueue(again, self.url, [{"row": row} for row in range(len(rows))])
        job = Job(self.launcher, self.config, points, self.url, again.study_name, prune=False)
        with contextlib.closing(self._workers(job, again).run(len(rows), None, self._heard)) as running:
            for number in running:
                if on_end:
                    on_end(again, again.get_trials(deepcopy=False)[number])
        ended = [trial for trial in again.get_trials(deepcopy=False) if trial.params]
        return [[trial for trial in ended if trial.params["row"] == row][-1] for row in range(len(rows))]

    def _space(self, arguments: list[str]) -> spaces.Space:
        options = self.options
        params = [f"{key}={grammar.written(value)}" for key, value in (options.params or {}).items()]
        if options.search_space is not None:
            params += deprecated.overrides(options.search_space, options.params)
        custom = function("custom_search_space", options.custom_search_space) if options.custom_search_space else None
        return spaces.read(
            [*params, *arguments],
            conditions=OmegaConf.to_container(options.conditions) if options.conditions else [],  # type: ignore[arg-type]
            constraints=list(options.constraints or []),
            custom=custom,
            loader=self.context.config_loader,
        )

    def _points(self, space: spaces.Space, directions: list[str]) -> list[dict[str, Any]]:
        """What waits in the queue from the start: a grid's points. Raises where sampler and space do not fit."""
        name = str(self.config.hydra.sweeper.sampler["_target_"]).rpartition(".")[2]
        numeric = any(not isinstance(found, CategoricalDistribution) for found in space.searched.values())
        if name == "CmaEsSampler" and (len(directions) > 1 or not numeric):
            fault = "several directions" if len(directions) > 1 else "a space of choices only"
            raise SweepError(f"the cmaes sampler cannot search {fault}; choose another hydra/sweeper/sampler")
        if not (space.searched or space.custom):  # as in the released sweeper, which runs them all the same
            hint = "give a range such as x=interval(0,1) or x=choice(1,2)"
            print(f"hydra-optuna-sweeper: no range is searched, so all trials are equal; {hint}", file=sys.stderr)
        make_sampler(self.config.hydra.sweeper.sampler, space)  # a missing package shows here, not in a worker
        if name != "GridSampler":
            return []
        points = space.grid()
        if len(points) > self.options.n_trials:  # a part of the grid is drawn, the same one when the sweep goes on
            seed = self.config.hydra.sweeper.sampler.seed or 0
            points = random.Random(seed).sample(points, self.options.n_trials)  # noqa: S311 - not for secrets
        return points

    def _check_corners(self, space: spaces.Space, listener: Listener | None) -> None:
        """Composes the job at every end of every range: a typo shows here, not in the first trial."""
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for corner in space.corners():
            study.enqueue_trial(corner)
            trial = study.ask()
            try:
                overrides = space.suggest(trial, self.config)
            except SweepError:
                raise
            except Exception as error:  # whatever the user's function raises
                raise SweepError(f"custom_search_space: {type(error).__name__}: {error}") from None
            violated(space.constraints, trial)  # one that does not hold is fine, one without numbers is not
            try:
                job = self.context.config_loader.load_sweep_config(self.config, overrides)
                if listener:
                    listener.check(job)
            except (HydraException, OmegaConfBaseException, ValueError) as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                raise SweepError(f"{' '.join(map(str, overrides))}: {' '.join(lines[:2])}") from None

    def _check_sampler(self, space: spaces.Space, directions: list[str]) -> None:
        """Draws a point: of what a sampler is given, its constructor checks little."""
        try:
            sampler = make_sampler(self.config.hydra.sweeper.sampler, space)
            study = optuna.create_study(
                sampler=sampler, directions=[StudyDirection[word.upper()] for word in directions]
            )
            space.suggest(study.ask(), self.config)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise SweepError(f"hydra.sweeper.sampler cannot draw with these values: {error}") from None

    def _listener(self) -> Listener | None:
        if not self.options.listener:
            return None
        try:
            made: Listener = instantiate(self.options.listener)
        except HydraException as error:
            raise SweepError(f"hydra.sweeper.listener: {error.__cause__ or error}") from None
        return made

    def _workers(self, job: Job, study: optuna.Study) -> Workers:
        options = self.options
        return Workers(job, study, options.n_jobs, recycle=options.recycle, max_retry=options.max_retry)

    def _deadline(self) -> float | None:
        return None if self.options.timeout is None else time.monotonic() + float(self.options.timeout)

    def _stop_if_hopeless(self, study: optuna.Study, *, final: bool) -> None:
        found = studies.counts(study)
        ended, failed = studies.done(found), found["fail"]
        rate = failed / max(ended, 1)
        allowed = self.options.max_failure_rate
        none = final and found["complete"] == 0
        if (rate <= allowed and not none) or (not final and ended < self.options.n_jobs):
            return
        last = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.FAIL][-1:]
        reason = f"; the last one: {last[0].user_attrs.get(studies.REASON, 'unknown')}" if last else ""
        print(
            f"hydra-optuna-sweeper: {failed} of {ended} trials failed"
            f"{', none is complete' if none else f', max_failure_rate is {allowed}'}{reason}",
            file=sys.stderr,
            flush=True,
        )
        raise SystemExit(FAILURE)


def _results(study: optuna.Study) -> dict[str, Any]:
    """The documented content of optimization_results.yaml."""
    if len(study.directions) == 1:
        return {"name": "optuna", "best_params": study.best_trial.params, "best_value": study.best_trial.value}
    solutions = [{"params": trial.params, "values": trial.values} for trial in study.best_trials]
    return {"name": "optuna", "solutions": solutions}


def _already(study: optuna.Study) -> str:
    done = studies.done(studies.counts(study))
    return f"goes on after {done} trials, " if done else ""

"""A sweep: reads the space, checks it, runs the study in worker processes, writes the results."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
import time
from collections.abc import Callable, Sequence
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
from hydra_plugins.hydra_optuna_sweeper._constraints import first_violated
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._job import Job, make_sampler, sampler_name
from hydra_plugins.hydra_optuna_sweeper._options import (
    check_options,
    load_function,
    parse_directions,
    preload,
)
from hydra_plugins.hydra_optuna_sweeper._progress import Progress
from hydra_plugins.hydra_optuna_sweeper._secrets import mask_passwords
from hydra_plugins.hydra_optuna_sweeper._signals import (
    SignalCheck,
    deferred_signals,
    raising_signals,
)
from hydra_plugins.hydra_optuna_sweeper._workers import Workers

# exit codes
MISTAKE, FAILURE, INTERRUPTED, TERMINATED = 2, 1, 130, 143


class Listener(Protocol):
    """What `hydra.sweeper.listener` may be told; a project's own tracking hangs here."""

    def check(self, config: DictConfig) -> None:
        """A job's configuration at a corner of the space; raises ValueError where it is wrong."""

    def began(self, study: optuna.Study, sweep: Sweep) -> None:
        """Before the first worker is forked, also when resumed. A ValueError ends the sweep."""

    def trial_ended(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """After each trial, whatever became of it."""

    def ended(self, study: optuna.Study, sweep: Sweep) -> None:
        """After the last trial; `sweep.repeat` can run more jobs."""

    def stopped(self, study: optuna.Study) -> None:
        """The sweep was stopped before its end."""


@dataclass
class Sweep:
    """One call of the sweeper: options, the composed configuration, Hydra's context, a launcher."""

    options: DictConfig
    config: DictConfig
    context: HydraContext
    launcher: Launcher
    url: str = ""
    space: spaces.Space = field(default_factory=lambda: spaces.Space({}))
    _check_signals: SignalCheck = field(default=lambda: None, repr=False)

    def run(self, arguments: list[str]) -> None:
        """Runs the study.

        Raises:
            SystemExit: 2 for a mistake, 1 where too many trials failed, 130 after Ctrl-C, 143 after
                SIGTERM.
        """
        try:
            with raising_signals():
                self._sweep(arguments)
        except SweepError as error:
            _print_error(mask_passwords(" ".join(str(error).split())))
            raise SystemExit(MISTAKE) from None
        except KeyboardInterrupt:
            self._print_stopped()
            raise SystemExit(INTERRUPTED) from None
        except SystemExit as stop:
            if stop.code == TERMINATED:
                self._print_stopped()
            raise

    def repeat(
        self,
        study: optuna.Study,
        rows: Sequence[Sequence[str]],
        on_end: Callable[[optuna.Study, FrozenTrial], None] | None = None,
    ) -> list[FrozenTrial]:
        """Runs jobs with these overrides in the same workers, without pruning, in a second study.

        Returns the trial of each row. The rows' hash is in that study's name, so a repetition that
        was stopped goes on, and other rows are another study.

        Raises:
            SweepError: workers keep dying before they have a trial.
        """
        jobs = spaces.JobList(rows)
        digest = hashlib.sha256(jobs.fingerprint().encode()).hexdigest()[:8]
        repetition = studies.open_study(
            study._storage,  # type: ignore[arg-type]
            f"{study.study_name}-repeat-{digest}",
            [direction.name.lower() for direction in study.directions],
            jobs.fingerprint(),
        )
        for key, value in {**study.user_attrs, "repeats": study.study_name}.items():
            if key != "space":  # its own are the rows
                repetition.set_user_attr(key, value)
        studies.fail_orphans(repetition, self.options.max_retry)
        studies.enqueue(repetition, self.url, [{"row": row} for row in range(len(rows))])

        job = Job(self.launcher, self.config, jobs, self.url, repetition.study_name, prune=False)
        running = self._workers(job, repetition).run(len(rows), None, self._check_signals)
        with contextlib.closing(running) as ended:
            for number in ended:
                if on_end:
                    on_end(repetition, repetition.get_trials(deepcopy=False)[number])

        by_row = {}
        for trial in repetition.get_trials(deepcopy=False):
            row = jobs.row_of(trial)
            if row is not None:
                by_row[row] = trial  # of several attempts the last one
        return [by_row[row] for row in range(len(rows))]

    def _sweep(self, arguments: list[str]) -> None:
        options = self.options
        sweep_dir = Path(self.config.hydra.sweep.dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep_dir / "multirun.yaml")
        optuna.logging.set_verbosity(optuna.logging.WARNING)

        check_options(options)
        directions = parse_directions(options.direction)
        space = self.space = self._read_space(arguments)
        self._check_sampler(space, directions)
        points = self._grid_points(space)
        listener = self._make_listener()
        self._check_corners(space, listener)
        self._check_draw(space, directions)
        preload(options.preload)  # behind the checks: a mistake need not wait for libraries

        self.url = studies.storage_url(options.storage, sweep_dir)
        storage = studies.connect(
            self.url, heartbeat=options.heartbeat, max_retry=options.max_retry, create=True
        )
        try:
            study = studies.open_study(storage, options.study_name, directions, space.fingerprint())
            studies.check_same_config(study, self.config, space.keys())
            n_orphans = studies.fail_orphans(study, options.max_retry)
            if n_orphans:
                print(f"{n_orphans} trials of a sweep that was killed are retried")
            studies.enqueue(study, self.url, points)

            n_trials = min(options.n_trials, len(points)) if points else options.n_trials
            print(
                f"study {study.study_name} in {mask_passwords(self.url)}: "
                f"{_progress_before(study)}up to {n_trials} trials",
                flush=True,
            )
            # raised in the midst of a listener's commit, a signal left its database locked
            with deferred_signals() as check_signals:
                self._check_signals = check_signals
                self._run(study, n_trials, listener)
        finally:
            storage.engine.dispose()  # else the connections stay open until they are collected

    def _run(self, study: optuna.Study, n_trials: int, listener: Listener | None) -> None:
        """Runs the study from its first trial to its last, with the listener told of everything."""
        if listener:
            try:
                listener.began(study, self)
            except ValueError as error:
                raise SweepError(str(error)) from None

        try:
            self._run_trials(study, n_trials, listener)
            if listener:
                listener.ended(study, self)
        except BaseException:
            # the workers are gone by now, and none of them writes to the listener's database
            if listener:
                listener.stopped(study)
            raise

    def _run_trials(self, study: optuna.Study, n_trials: int, listener: Listener | None) -> None:
        """A line for each trial; then the table and optimization_results.yaml."""
        job = Job(self.launcher, self.config, self.space, self.url, study.study_name)
        running = self._workers(job, study).run(n_trials, self._deadline(), self._check_signals)
        progress = Progress(study, n_trials, self.options.timeout)
        with progress, contextlib.closing(running) as ended:
            for number in ended:
                trial = study.get_trials(deepcopy=False)[number]
                progress.trial_ended(trial)
                if listener:
                    listener.trial_ended(study, trial)
                self._exit_if_hopeless(study, is_final=False)

        self._exit_if_hopeless(study, is_final=True)
        progress.print_results()
        path = Path(self.config.hydra.sweep.dir) / "optimization_results.yaml"
        OmegaConf.save(OmegaConf.create(_results(study)), path)

    def _read_space(self, arguments: list[str]) -> spaces.Space:
        options = self.options
        params = options.params or {}
        overrides = [f"{key}={grammar.to_text(value)}" for key, value in params.items()]
        if options.search_space is not None:
            overrides += deprecated.overrides(options.search_space, options.params)

        custom = None
        if options.custom_search_space:
            custom = load_function("custom_search_space", options.custom_search_space)
        conditions: Any = OmegaConf.to_container(options.conditions) if options.conditions else []
        return spaces.read(
            [*overrides, *arguments],
            conditions=conditions,
            constraints=list(options.constraints or []),
            custom=custom,
            loader=self.context.config_loader,
        )

    def _check_sampler(self, space: spaces.Space, directions: list[str]) -> None:
        """Raises SweepError where the sampler cannot be made, or does not fit the space."""
        sampler = self.config.hydra.sweeper.sampler
        is_choices_only = all(
            isinstance(distribution, CategoricalDistribution)
            for distribution in space.searched.values()
        )
        if sampler_name(sampler) == "CmaEsSampler" and (len(directions) > 1 or is_choices_only):
            fault = "several directions" if len(directions) > 1 else "a space of choices only"
            raise SweepError(
                f"the cmaes sampler cannot search {fault}; choose another hydra/sweeper/sampler"
            )

        # as in the released sweeper, which runs them all the same
        if not (space.searched or space.custom):
            _print_error(
                "no range is searched, so all trials are equal; "
                "give a range such as x=interval(0,1) or x=choice(1,2)"
            )
        make_sampler(sampler)  # a missing package shows here, not in a worker

    def _grid_points(self, space: spaces.Space) -> list[dict[str, Any]]:
        """The points of a grid, which wait in the queue from the start; none for other samplers."""
        sampler = self.config.hydra.sweeper.sampler
        if sampler_name(sampler) != "GridSampler":
            return []

        points = space.grid()
        n_trials = self.options.n_trials
        if len(points) > n_trials:
            # a part of the grid is drawn, the same one when the sweep goes on
            generator = random.Random(sampler.seed or 0)  # noqa: S311 - not for secrets
            points = generator.sample(points, n_trials)
        return points

    def _check_corners(self, space: spaces.Space, listener: Listener | None) -> None:
        """Composes the job at every end of every range: a typo shows here, not in a trial."""
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

            # a constraint that does not hold is fine, one without numbers is not
            first_violated(space.constraints, trial)

            try:
                job = self.context.config_loader.load_sweep_config(self.config, overrides)
                if listener:
                    listener.check(job)
            except (HydraException, OmegaConfBaseException, ValueError) as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                raise SweepError(f"{' '.join(overrides)}: {' '.join(lines[:2])}") from None

    def _check_draw(self, space: spaces.Space, directions: list[str]) -> None:
        """Draws a point: of what a sampler is given, its constructor checks little."""
        try:
            study = optuna.create_study(
                sampler=make_sampler(self.config.hydra.sweeper.sampler),
                directions=[StudyDirection[direction.upper()] for direction in directions],
            )
            space.suggest(study.ask(), self.config)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise SweepError(
                f"hydra.sweeper.sampler cannot draw with these values: {error}"
            ) from None

    def _make_listener(self) -> Listener | None:
        if not self.options.listener:
            return None
        try:
            listener: Listener = instantiate(self.options.listener)
        except HydraException as error:
            raise SweepError(f"hydra.sweeper.listener: {error.__cause__ or error}") from None
        return listener

    def _workers(self, job: Job, study: optuna.Study) -> Workers:
        options = self.options
        return Workers(
            job, study, options.n_jobs, recycle=options.recycle, max_retry=options.max_retry
        )

    def _deadline(self) -> float | None:
        timeout = self.options.timeout
        return None if timeout is None else time.monotonic() + float(timeout)

    def _exit_if_hopeless(self, study: optuna.Study, *, is_final: bool) -> None:
        """Raises SystemExit where too many trials failed, or in the end none is complete."""
        counts = studies.counts(study)
        if not is_final and counts.finished < self.options.n_jobs:
            return

        allowed = self.options.max_failure_rate
        if is_final and counts.complete == 0:
            fault = "none is complete"
        elif counts.failed / max(counts.finished, 1) > allowed:
            fault = f"max_failure_rate is {allowed}"
        else:
            return

        message = f"{counts.failed} of {counts.finished} trials failed, {fault}"
        failed = study.get_trials(deepcopy=False, states=[TrialState.FAIL])
        if failed:
            message += f"; the last one: {failed[-1].user_attrs.get(studies.REASON, 'unknown')}"
        _print_error(message)
        raise SystemExit(FAILURE)

    def _print_stopped(self) -> None:
        is_resumable = self.options.storage and self.options.study_name
        advice = "; the same command goes on where it stopped" if is_resumable else ""
        _print_error(f"stopped{advice}")


def _print_error(message: str) -> None:
    print(f"hydra-optuna-sweeper: {message}", file=sys.stderr, flush=True)


def _results(study: optuna.Study) -> dict[str, Any]:
    """The documented content of optimization_results.yaml."""
    if len(study.directions) == 1:
        best = study.best_trial
        return {"name": "optuna", "best_params": best.params, "best_value": best.value}
    solutions = [{"params": trial.params, "values": trial.values} for trial in study.best_trials]
    return {"name": "optuna", "solutions": solutions}


def _progress_before(study: optuna.Study) -> str:
    n_finished = studies.counts(study).finished
    return f"goes on after {n_finished} trials, " if n_finished else ""

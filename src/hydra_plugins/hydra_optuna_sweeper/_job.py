"""One trial in a worker: values suggested, job launched, result recorded, whatever happens."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from hydra_plugins.hydra_optuna_sweeper import _constraints as constraints
from hydra_plugins.hydra_optuna_sweeper import _process as process
from hydra_plugins.hydra_optuna_sweeper import _study as studies
from hydra_plugins.hydra_optuna_sweeper import trial as trials
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._lock import study_lock
from hydra_plugins.hydra_optuna_sweeper._options import make
from hydra_plugins.hydra_optuna_sweeper._signals import Terminated, WorkerSigterm
from hydra_plugins.hydra_optuna_sweeper._space import JobList, Space

# what a worker tells its parent, with the number of the trial; the last one is an end as well, of a
# trial that ran out of memory
Event = Literal["none_left", "began", "ended", "out_of_memory"]
Report = Callable[[Event, int | None], None]

_RAISED = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*$", re.MULTILINE)
_REASON_LENGTH = 2000


@dataclass
class Job:
    """All that a worker needs to run trials of one study."""

    launcher: Launcher
    config: DictConfig
    space: Space | JobList
    url: str
    study_name: str
    prune: bool = True
    _study: optuna.Study | None = None
    # what ate the memory may still hold it: a new process takes over
    _out_of_memory: bool = False
    _sigterm: WorkerSigterm = field(default_factory=WorkerSigterm)

    def set_up_worker(self, index: int, n_workers: int) -> None:
        """Makes the process a worker: its share of the cores, its own GPU, its own output file."""
        self._sigterm.install()
        # a launcher's line for each job says nothing new
        logging.getLogger("hydra").setLevel(logging.WARNING)
        optuna.logging.set_verbosity(optuna.logging.ERROR)

        if n_workers > 1:  # a single worker's job may use all GPUs and cores
            _share_hardware(index, n_workers)
        if self.config.hydra.sweeper.quiet:
            _redirect_output(Path(self.config.hydra.sweep.dir) / f"worker-{index}.log")

    def connect(self) -> RDBStorage:
        """A connection of the worker's own.

        Raises:
            SweepError: the database does not answer.
        """
        options = self.config.hydra.sweeper
        return studies.connect(self.url, heartbeat=options.heartbeat, max_retry=options.max_retry)

    def run(self, storage: RDBStorage, n_trials: int, report: Report) -> None:
        """Runs one trial from asking to telling, unless the study has `n_trials`."""
        is_first = self._study is None
        study = self._study = self._study or self._load_study(storage)

        with contextlib.ExitStack() as lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # of two sweeps on one study, one takes the last trial: without the lock two of them,
            # with three workers each, ran a trial too many and a point of a grid twice
            lock.enter_context(study_lock(self.url))
            if studies.counts(study).claimed >= n_trials:
                report("none_left", None)
                return

            def on_start(trial: FrozenTrial) -> None:
                study._storage.set_trial_user_attr(
                    trial._trial_id, studies.WORKER, process.identity()
                )
                lock.close()
                if is_first:
                    # by the trial's number: no two workers of one study draw alike on any machine,
                    # and a resumed study does not repeat its points
                    study.sampler = self._sampler(1000 * trial.number)
                report("began", trial.number)

            with self._sigterm.deferred():
                number = self._optimize(study, on_start)
                report("out_of_memory" if self._out_of_memory else "ended", number)

    def _optimize(self, study: optuna.Study, on_start: Callable[[FrozenTrial], None]) -> int:
        """Runs one trial, and returns its number; told to stop, it is interrupted."""
        numbers = []

        def before_trial(trial: FrozenTrial) -> None:
            numbers.append(trial.number)
            on_start(trial)

        _call_before_trial(study.sampler, before_trial)
        try:
            study.optimize(self._objective, n_trials=1, catch=(Exception,))
        except Terminated:
            max_retry = self.config.hydra.sweeper.max_retry
            studies.interrupt(study, numbers[0], "told to stop", max_retry)
            raise
        return numbers[0]

    def _load_study(self, storage: RDBStorage) -> optuna.Study:
        study = optuna.load_study(
            study_name=self.study_name, storage=storage, pruner=make("pruner", self._pruner())
        )
        study.sampler = self._sampler()
        return study

    def _sampler(self, seed_offset: int = 0) -> optuna.samplers.BaseSampler:
        return make_sampler(self.config.hydra.sweeper.sampler, seed_offset)

    def _pruner(self) -> dict[str, Any]:
        if not self.prune:
            return {"_target_": "optuna.pruners.NopPruner"}
        options: Any = OmegaConf.to_container(self.config.hydra.sweeper.pruner, resolve=True)
        return dict(options)

    def _suggest(self, trial: optuna.Trial) -> list[str]:
        if isinstance(trial.study.sampler, optuna.samplers.QMCSampler):
            # it reads from the storage how far its sequence is, and writes one more: two workers
            # in between draw the same point
            with study_lock(self.url):
                _ = trial.relative_params
        return self.space.suggest(trial, self.config)

    def _objective(self, trial: optuna.Trial) -> Any:
        try:
            self._sigterm.raise_received()
            return self._launch(trial)
        except (optuna.TrialPruned, Terminated):
            raise
        # a job's sys.exit ends the job, not the worker
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # raised in the midst of the job's own commit, the signal comes out as another error
            self._sigterm.raise_received()
            pruned = constraints.trial_values(trial).get("pruned")
            if pruned:  # some launchers wrap what a job raises
                raise optuna.TrialPruned(pruned) from error

            trial.set_user_attr(studies.REASON, _reason(error)[:_REASON_LENGTH])
            traceback.print_exception(error)
            # Python's MemoryError, torch's OutOfMemoryError
            if "MemoryError" in type(error).__name__:
                self._out_of_memory = True
            if isinstance(error, Exception):
                raise
            raise RuntimeError(str(error)) from error  # Optuna catches no SystemExit
        finally:
            constraints.record_violations(self.space.constraints, trial)

    def _launch(self, trial: optuna.Trial) -> float | list[float]:
        """The job's objectives; raises TrialPruned where a constraint is violated."""
        overrides = self._suggest(trial)
        trial.set_user_attr("overrides", overrides)
        violated = constraints.first_violated(self.space.constraints, trial)
        if violated:
            raise trials.prune(trial, f"not tried: {violated} does not hold")

        texts = [constraint.text for constraint in self.space.constraints]
        known = trials.running(trial, self.url, pruner=self._pruner(), constraints=texts)
        with known, self._sigterm.allowed():
            jobs = self.launcher.launch([overrides], initial_job_idx=trial.number)
        values = objective_values(_result(jobs[0]), len(trial.study.directions))

        violated = constraints.first_violated(self.space.constraints, trial)
        if violated:  # by a fact that the job set
            raise trials.prune(trial, f"{violated} does not hold")
        missing = self.space.missing_fact(trial)
        if missing:
            raise ValueError(missing)
        return values


def objective_values(result: Any, count: int) -> float | list[float]:
    """What a job returned, as `count` finite numbers; a single one is no list.

    Raises:
        ValueError: anything else, in words for the trial's reason.
    """
    is_sequence = isinstance(result, Sequence) and not isinstance(result, str)
    items = list(result) if is_sequence else [result]
    try:
        values = [float(item) for item in items]
    except (TypeError, ValueError):
        expected = "a number" if count == 1 else "numbers"
        raise ValueError(f"the job returned {result!r}, expected {expected}") from None

    if len(values) != count:
        raise ValueError(
            f"the job returned {len(values)} numbers, expected {count}, one for each direction"
        )
    if not all(map(math.isfinite, values)):
        raise ValueError(f"the job returned {result!r}, which is not finite")
    return values[0] if count == 1 else values


def make_sampler(config: DictConfig, seed_offset: int = 0) -> optuna.samplers.BaseSampler:
    """The sampler of the configuration, with `seed_offset` added to its seed.

    Raises:
        SweepError: the seed is no integer, or the sampler does not take its options.
    """
    options: Any = OmegaConf.to_container(config, resolve=True)
    name = sampler_name(config)
    seed = options.get("seed")
    if not isinstance(seed, int | None):
        raise SweepError(f"hydra.sweeper.sampler.seed={seed}: expected an integer or null")

    if seed is not None and name != "QMCSampler":
        options["seed"] = seed + seed_offset
    elif seed is not None and not options.get("independent_sampler"):
        # all points of a sequence come from one seed, but not those of workers that start before
        # the sequence is known
        options["independent_sampler"] = {
            "_target_": "optuna.samplers.RandomSampler",
            "seed": seed + seed_offset,
        }

    if name == "GridSampler":
        # its points wait in the queue; asked for one at a time, two workers could take the same one
        return optuna.samplers.RandomSampler()
    sampler: optuna.samplers.BaseSampler = make("sampler", options)
    return sampler


def sampler_name(config: DictConfig) -> str:
    """The name of the sampler's class."""
    return str(config["_target_"]).rpartition(".")[2]


def _share_hardware(index: int, n_workers: int) -> None:
    gpus = process.usable_gpus()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]

    threads = max(1, process.usable_cores() // n_workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    torch = sys.modules.get("torch")
    if torch:  # imported before the fork: the variable comes too late for it
        torch.set_num_threads(threads)


def _redirect_output(path: Path) -> None:
    """Both streams of this process, and of those that it starts, go to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _call_before_trial(
    sampler: optuna.samplers.BaseSampler, on_start: Callable[[FrozenTrial], None]
) -> None:
    """`on_start` is called as soon as a trial exists: choosing its point may take long."""
    before_trial = type(sampler).before_trial

    def call(study: optuna.Study, trial: FrozenTrial) -> None:
        on_start(trial)
        before_trial(study.sampler, study, trial)  # the sampler may be another one by now

    sampler.before_trial = call  # type: ignore[method-assign]


def _reason(error: BaseException) -> str:
    """What happened; of a traceback, which launchers of other processes hand on, its last line."""
    text = f"{type(error).__name__}: {error}"
    lines = _RAISED.findall(text) if "Traceback (most recent call last)" in text else []
    return lines[-1] if lines else text


def _result(job: JobReturn) -> Any:
    """What the job returned or raised."""
    if job.status == JobStatus.FAILED:  # the property return_value would write a line to stderr
        raise job._return_value
    return job.return_value

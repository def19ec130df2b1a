"""One trial in a worker: values suggested, job launched, result told, whatever happens."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from optuna.storages import RDBStorage

from goodfit import process
from goodfit.devices import gpus
from hydra_plugins.hydra_optuna_sweeper import _study as studies
from hydra_plugins.hydra_optuna_sweeper import trial as trials
from hydra_plugins.hydra_optuna_sweeper._alone import alone
from hydra_plugins.hydra_optuna_sweeper._constraints import facts, tell, violated
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._options import make
from hydra_plugins.hydra_optuna_sweeper._space import Points, Space

_RAISED = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*$", re.MULTILINE)


@dataclass
class Job:
    """All that a worker needs to run trials of one study."""

    launcher: Launcher
    config: DictConfig
    space: Space | Points
    url: str
    study_name: str
    prune: bool = True
    _study: optuna.Study | None = None
    _exhausted: bool = False  # what ate the memory may still hold it: a new process takes over

    def settle(self, place: int, count: int) -> None:
        """Makes the process a worker: its share of the cores, its own GPU, its own file for output."""
        options = self.config.hydra.sweeper
        signal.signal(signal.SIGTERM, _stop)
        logging.getLogger("hydra").setLevel(logging.WARNING)  # a launcher's line for each job says nothing new
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if count > 1 and (devices := gpus()):  # a single worker's job may use all of them
            os.environ["CUDA_VISIBLE_DEVICES"] = devices[place % len(devices)]
        if count > 1:
            threads = max(1, len(os.sched_getaffinity(0)) // count)
            os.environ.setdefault("OMP_NUM_THREADS", str(threads))
            if torch := sys.modules.get("torch"):  # imported before the fork: the variable comes too late for it
                torch.set_num_threads(threads)
        if options.quiet:
            path = Path(self.config.hydra.sweep.dir) / f"worker-{place}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)

    def connect(self) -> RDBStorage:
        """A connection of the worker's own."""
        options = self.config.hydra.sweeper
        return studies.connect(self.url, heartbeat=options.heartbeat, max_retry=options.max_retry)

    def run(self, storage: RDBStorage, n_trials: int, say: Callable[..., None]) -> None:
        """One trial from asking to telling; `say` hears that it began and that it ended, or that none is left."""
        fresh = self._study is None
        study = self._study = self._study or self._load(storage)
        begun: list[int] = []
        with contextlib.ExitStack() as held, warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            held.enter_context(alone(self.url))  # of two sweeps on one study, one takes the last trial
            if studies.taken(study) >= n_trials:
                say("none", -1)
                return

            def begin(trial: optuna.trial.FrozenTrial) -> None:
                begun.append(trial.number)
                study._storage.set_trial_user_attr(trial._trial_id, studies.WORKER, process.identity())
                held.close()
                if fresh:  # by the trial's number: no two workers of one study, on whatever machine, draw alike
                    study.sampler = make_sampler(self.config.hydra.sweeper.sampler, self.space, 1000 * trial.number)
                say("began", trial.number)

            study.sampler.before_trial = _first(begin, type(study.sampler).before_trial)  # type: ignore[method-assign]
            try:
                study.optimize(self._objective, n_trials=1, catch=(Exception,))
            except _Stopped:
                if begun:
                    studies.cut(study, begun[0], "told to stop", self.config.hydra.sweeper.max_retry)
                raise
        say("left" if self._exhausted else "ended", begun[0])

    def _load(self, storage: RDBStorage) -> optuna.Study:
        study = optuna.load_study(study_name=self.study_name, storage=storage, pruner=make("pruner", self._pruner()))
        study.sampler = make_sampler(self.config.hydra.sweeper.sampler, self.space)
        return study

    def _pruner(self) -> dict[str, Any]:
        if not self.prune:
            return {"_target_": "optuna.pruners.NopPruner"}
        return OmegaConf.to_container(self.config.hydra.sweeper.pruner, resolve=True)  # type: ignore[return-value]

    def _suggested(self, trial: optuna.Trial) -> list[str]:
        if isinstance(trial.study.sampler, optuna.samplers.QMCSampler):
            with alone(self.url):  # it reads from the storage how far its sequence is, and writes one more
                _ = trial.relative_params
        return self.space.suggest(trial, self.config)

    def _objective(self, trial: optuna.Trial) -> Any:
        try:
            overrides = self._suggested(trial)
            trial.set_user_attr("overrides", overrides)
            if broken := violated(self.space.constraints, trial):
                raise trials.prune(trial, f"not tried: {broken} does not hold")
            constraints = [item.text for item in self.space.constraints]
            with trials.running(trial, self.url, pruner=self._pruner(), constraints=constraints):
                result = _returned(self.launcher.launch([overrides], initial_job_idx=trial.number)[0])
            found = numbers(result, len(trial.study.directions))
            if broken := violated(self.space.constraints, trial):  # by a fact that the job set
                raise trials.prune(trial, f"{broken} does not hold")
            if lacking := self.space.lacking(trial):
                raise ValueError(lacking)
            return found
        except (optuna.TrialPruned, _Stopped):
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # a job's sys.exit ends the job, not the worker
            if pruned := facts(trial).get("pruned"):  # some launchers wrap what a job raises
                raise optuna.TrialPruned(pruned) from error
            trial.set_user_attr(studies.REASON, _reason(error)[:2000])
            traceback.print_exception(error)
            self._exhausted |= "MemoryError" in type(error).__name__  # Python's MemoryError, torch's OutOfMemoryError
            raise error if isinstance(error, Exception) else RuntimeError(str(error)) from error
        finally:
            tell(self.space.constraints, trial)


def _reason(error: BaseException) -> str:
    """What happened; of a traceback, which launchers of other processes hand on, the line that it ends with."""
    text = f"{type(error).__name__}: {error}"
    lines = _RAISED.findall(text) if "Traceback (most recent call last)" in text else []
    return lines[-1] if lines else text


def _returned(job: JobReturn) -> Any:
    """What the job returned or raised; the property return_value writes a line to stderr for each that raised."""
    if job.status == JobStatus.FAILED:
        raise job._return_value
    return job.return_value


def numbers(result: Any, count: int) -> float | list[float]:
    """What a job returned, as one finite number for each objective; raises ValueError for anything else."""
    found = list(result) if isinstance(result, Sequence) and not isinstance(result, str) else [result]
    try:
        values = [float(value) for value in found]
    except (TypeError, ValueError):
        raise ValueError(f"the job returned {result!r}, expected {'a number' if count == 1 else 'numbers'}") from None
    if len(values) != count:
        raise ValueError(f"the job returned {len(values)} numbers, expected {count}, one for each direction")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"the job returned {result!r}, which is not finite")
    return values[0] if count == 1 else values


def make_sampler(config: DictConfig, space: Space | Points, offset: int = 0) -> optuna.samplers.BaseSampler:
    """The sampler of the configuration, its seed moved by `offset`."""
    options: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    name = str(options["_target_"]).rpartition(".")[2]
    if not isinstance(options.get("seed"), int | None):
        raise SweepError(f"hydra.sweeper.sampler.seed={options['seed']}: expected a whole number or null")
    if options.get("seed") is not None and name != "QMCSampler":
        options["seed"] += offset
    elif options.get("seed") is not None and not options.get("independent_sampler"):
        # all of a sequence's points come from one seed, but not those of workers that begin before it is known
        first = {"_target_": "optuna.samplers.RandomSampler", "seed": options["seed"] + offset}
        options["independent_sampler"] = first
    if name == "GridSampler":  # its points wait in the queue; asked for one at a time, two workers could take the same
        return optuna.samplers.RandomSampler()
    made: optuna.samplers.BaseSampler = make("sampler", options)
    return made


def _first(begin: Callable[[optuna.trial.FrozenTrial], None], rest: Callable[..., None]) -> Callable[..., None]:
    """Of a sampler's methods, this one is called as soon as a trial exists; choosing its point may take long."""

    def before_trial(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        begin(trial)
        rest(study.sampler, study, trial)

    return before_trial


class _Stopped(SystemExit):
    """The worker was told to stop; a job that calls sys.exit is another matter."""


def _stop(number: int, _frame: object) -> None:
    raise _Stopped(128 + number)

"""One trial in a worker: values suggested, job launched, result told, whatever happens."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.storages import RDBStorage

from goodfit import process
from hydra_plugins.hydra_optuna_sweeper import _study as studies
from hydra_plugins.hydra_optuna_sweeper import trial as trials
from hydra_plugins.hydra_optuna_sweeper._constraints import for_sampler, violated
from hydra_plugins.hydra_optuna_sweeper._space import Points, Space


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

    def settle(self, place: int, count: int) -> None:
        """Makes the process a worker: its share of the cores, its own GPU, its own file for output."""
        options = self.config.hydra.sweeper
        signal.signal(signal.SIGTERM, _stop)
        logging.getLogger("hydra").setLevel(logging.WARNING)  # a launcher's line for each job says nothing new
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if devices := gpus():
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

    def run(self, storage: RDBStorage, seed_offset: int | None, say: Callable[..., None]) -> None:
        """One trial from asking to telling; `say` hears that it began and that it ended."""
        if self._study is None or seed_offset is not None:
            self._study = self._load(storage, seed_offset or 0)
        begun: list[int] = []

        def objective(trial: optuna.Trial) -> Any:
            begun.append(trial.number)
            trial.set_user_attr(studies.WORKER, process.identity())
            say("began", trial.number)
            return self._objective(trial)

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._study.optimize(objective, n_trials=1, catch=(Exception,))
        except SystemExit:
            if begun:
                studies.cut(self._study, begun[0], "told to stop", self.config.hydra.sweeper.max_retry)
            raise
        say("ended", begun[0])

    def _load(self, storage: RDBStorage, offset: int) -> optuna.Study:
        """Each worker samples with a seed of its own, and a resumed study goes on instead of repeating its points."""
        options = self.config.hydra.sweeper
        pruner = instantiate(options.pruner) if self.prune else optuna.pruners.NopPruner()
        study = optuna.load_study(study_name=self.study_name, storage=storage, pruner=pruner)
        offset += 1000 * len(study.get_trials(deepcopy=False))
        study.sampler = make_sampler(options.sampler, self.space, offset)
        return study

    def _objective(self, trial: optuna.Trial) -> Any:
        try:
            overrides = self.space.suggest(trial, self.config)
            trial.set_user_attr("overrides", overrides)
            if broken := violated(self.space.constraints, trial):
                raise trials.prune(trial, f"not tried: {broken} does not hold")
            with trials.running(trial, self.url):
                result = self.launcher.launch([overrides], initial_job_idx=trial.number)[0].return_value
            return numbers(result, len(trial.study.directions))
        except optuna.TrialPruned:
            raise
        except Exception as error:
            if pruned := trial.user_attrs.get("pruned"):  # some launchers wrap what a job raises
                raise optuna.TrialPruned(pruned) from error
            trial.set_user_attr(studies.REASON, f"{type(error).__name__}: {error}"[:2000])
            raise


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
    if options.get("seed") is not None and name != "QMCSampler":  # all of a sequence's points come from one seed
        options["seed"] += offset
    if space.constraints and name in ("TPESampler", "NSGAIISampler", "GPSampler"):
        options["constraints_func"] = for_sampler(space.constraints)
    if name == "GridSampler":  # its points wait in the queue; asked for one at a time, two workers could take the same
        return optuna.samplers.RandomSampler()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made: optuna.samplers.BaseSampler = instantiate(options)
    return made


def gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes; found without CUDA."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(place) for place in range(len(list(folder.iterdir())))] if folder.is_dir() else []


def _stop(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)

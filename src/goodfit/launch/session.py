"""One rank of a training, from its job to a run in MLflow and a model's folder.

It reads the train and validation splits only. The score that it gives back is that of the weights
it keeps.
"""

from __future__ import annotations

import csv
import gc
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from goodfit import build
from goodfit.config import gallery, tree
from goodfit.errors import (
    NoMemoryError,
    NonFiniteLossError,
    OutOfMemory,
    PrunedError,
    UserError,
)
from goodfit.launch import devices, resume
from goodfit.launch.resume import Plan
from goodfit.launch.trial import current_judge
from goodfit.paths import Paths
from goodfit.provenance import environment
from goodfit.provenance.environment import Commit
from goodfit.records import Job, Trained, Training
from goodfit.store.fetch import fetch_weights
from goodfit.store.loader import Shard
from goodfit.store.manifest import verify
from goodfit.system import allocator, memory, signals
from goodfit.system.files import replacing_folder, sha256
from goodfit.system.secrets import redact
from goodfit.task import weights
from goodfit.task.base import Task
from goodfit.tracking import attach, describe, runs
from goodfit.tracking.database import reachable
from goodfit.training import freezing, loop
from goodfit.training.checkpoint_files import read_note, step_checkpoints
from goodfit.training.datamodule import DataModule
from goodfit.training.loop import Measured, Optimized
from goodfit.training.pruning import Pruning
from goodfit.training.trainer import quiet_lightning


@dataclass(frozen=True)
class Session:
    """Everything that one rank trains with."""

    cfg: DictConfig
    job: Job
    plan: Plan
    task: Task
    data: DataModule
    run: runs.Run
    commit: Commit
    micro_batches: int  # in a step, for want of memory; the configuration's come on top

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the rank that writes for all."""
        return self.data.shard.rank == 0

    def record_verdict(self, error: Exception) -> None:
        """The training has ended by itself: the same command starts anew."""
        if self.is_rank_zero:
            self.plan.record_verdict(f"{type(error).__name__}: {error}")


def train(
    cfg: DictConfig,
    job: Job,
    micro_batches: int,
    plan: Plan | None = None,
    callbacks: Sequence[Callback] = (),
) -> Trained | None:
    """Trains a resolved `cfg` as one of its ranks; None from all but rank 0.

    This rank's share of a step is computed in `micro_batches`. `plan` is what all ranks go on from;
    without one it is made here.

    Raises:
        UserError: the micro-batches do not fit, or what an interrupted training left does not.
        NonFiniteLossError: before the optimizer step that would have destroyed the weights.
        NoRoomError: the disk is full when a checkpoint is written.
        PrunedError: as a trial of a sweep it was not worth going on with.
        OutOfMemory: the device's memory did not hold a micro-batch.
        NoMemoryError: memory ran out where a smaller batch would not help.
    """
    quiet_lightning()
    allocator.tune()
    if micro_batches > 1:
        # the attempt before has left its network, data and Trainer in reference cycles
        gc.collect()
        torch.cuda.empty_cache()
    folder = job.data or Paths(cfg.name).prepared
    commit = environment.commit()  # a commit during training did not train the model
    _check_data(cfg, folder)

    with _memory_explained(), _planned(cfg, job, plan) as plan:
        # what memory did not hold before the interruption, it need not be asked to hold again
        micro_batches = max(micro_batches, plan.micro_batches)
        accumulated = micro_batches * cfg.trainer.accumulate_grad_batches
        shard = Shard(*devices.ranks(), accumulated)
        weights = build.pretrained(cfg).source
        resumes = plan.checkpoint is not None
        if weights and not resumes:
            fetch_weights(weights)
        task, data = loop.prepare(cfg, folder, shard, resumes=resumes)

        run = runs.silent() if shard.rank else _open_run(cfg, task, job, plan, commit)
        session = Session(cfg, job, plan, task, data, run, commit, micro_batches)
        with runs.run_status(run), _end_recorded(session):
            return _train(session, callbacks)


def _train(session: Session, callbacks: Sequence[Callback]) -> Trained | None:
    """From the first step, or the checkpoint to go on from, to the model's folder."""
    cfg, plan = session.cfg, session.plan
    if session.is_rank_zero:
        plan.record_start(session.run.run_id, session.micro_batches)
        _print_start(session)

    with signals.defer_signals():
        optimized = loop.optimize(
            cfg,
            session.task,
            session.data,
            folder=plan.folder,
            checkpoint=plan.checkpoint,
            recorder=session.run,
            callbacks=[*_pruning(), *callbacks],
        )
    # told to stop after the last step: the same command measures and writes the model
    if signals.stop_requested():
        raise SystemExit(128 + signals.stop_requested())
    if not session.is_rank_zero:
        return None

    measured = loop.measure(cfg, session.data, optimized)
    folder = _save(session, optimized, measured)
    score = measured.scores[optimized.monitor]
    return Trained(session.run.run_id, optimized.monitor, score, folder)


def _check_data(cfg: DictConfig, folder: Path) -> None:
    """Raises UserError where the data are broken, or were prepared with another section `data`."""
    made_with = verify(folder, "train", "validation").made_with
    wanted = tree.data_section(cfg)
    for key in sorted({*made_with, *wanted}):
        old, new = made_with.get(key), wanted.get(key)
        if old != new:
            raise UserError(
                f"{folder} was prepared with data.{key}={old}, got {new}; "
                f"change conf/ or params.yaml, then `{gallery.command('prepare', cfg.name)}`"
            )


@contextmanager
def _planned(cfg: DictConfig, job: Job, plan: Plan | None) -> Iterator[Plan]:
    """What to go on from; a trial of a sweep gets a temporary folder, and starts anew each time."""
    if plan is not None:  # the launcher has claimed its folder
        yield plan
        return
    if job.keep:
        with resume.claimed(resume.folder_of(cfg, job.overrides, job.data)):
            plan = resume.plan(cfg, job.overrides, devices.ranks().world, job.data)
            plan.begin()
            yield plan
        return

    resume.ROOT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=resume.ROOT, prefix="trial-") as folder:
        yield Plan(folder=Path(folder))


def _open_run(cfg: DictConfig, task: Task, job: Job, plan: Plan, commit: Commit) -> runs.Run:
    """The run that the training began in, if this database has it; else a new one."""
    uri = str(cfg.tracking.uri)
    training = plan.digest if plan.facts else None  # None where nothing is kept: a trial
    with reachable(uri):
        run = runs.find(uri, plan.run_id) if plan.run_id else None
        if run is None:
            if training:
                job = replace(job, tags={**job.tags, runs.TRAINING_TAG: training})
            return describe.open_run(cfg, task, job.data or Paths(cfg.name).prepared, job, commit)
        runs.check_alone(run.client, run.experiment, training, own=run.run_id)
        run.resume()
        return run


def _print_start(session: Session) -> None:
    cfg, plan = session.cfg, session.plan
    frozen = freezing.describe(session.task.model, build.parameter_rules(cfg))
    if frozen:
        print(frozen, flush=True)
    if plan.checkpoint:
        note = read_note(plan.checkpoint)
        assert note is not None  # the plan has verified it
        print(
            f"resuming from epoch {note.epoch + 1}, step {note.step} "
            f"({plan.checkpoint}, verified), run {session.run.run_id}",
            flush=True,
        )


def _pruning() -> list[Callback]:
    """Nothing outside a sweep. All ranks of a trial have it, for they end together."""
    from hydra_plugins.hydra_optuna_sweeper import trial as trials

    return [Pruning(current_judge())] if trials.active() else []


@contextmanager
def _memory_explained() -> Iterator[None]:
    """Raises NoMemoryError where memory runs out for other reasons than the size of a batch."""
    try:
        yield
    except OutOfMemory:  # of a batch
        raise
    except (MemoryError, RuntimeError) as error:
        if memory.ran_out(error):
            raise NoMemoryError(memory.explain(error)) from None
        raise


@contextmanager
def _end_recorded(session: Session) -> Iterator[None]:
    """Records whether the block came to an end: otherwise the same command goes on from there.

    A finished training leaves nothing to resume, and a verdict (NonFiniteLossError, UserError,
    PrunedError) makes the same command start anew. After anything else it resumes.
    """
    try:
        yield
    except NonFiniteLossError as error:
        located = NonFiniteLossError(f"{error} {_last_checkpoint(session.plan.folder)}")
        session.record_verdict(located)
        raise located from None
    except (UserError, PrunedError) as error:
        session.record_verdict(error)
        raise
    except SIGTERMException:  # Lightning's own: told to stop before the first step
        raise SystemExit(128 + signal.SIGTERM) from None
    except (MemoryError, RuntimeError) as error:
        if memory.ran_out(error) and memory.is_of_batch(error):
            reason = (str(error).splitlines() or ["out of memory"])[0]
            raise OutOfMemory(reason, session.micro_batches) from None
        raise
    else:
        if session.is_rank_zero:
            session.plan.remove_folder()


def _last_checkpoint(folder: Path) -> str:
    checkpoints = step_checkpoints(folder)
    if not checkpoints:
        return "There is no checkpoint yet."
    return f"The last good checkpoint is {checkpoints[0]}."


def _save(session: Session, optimized: Optimized, measured: Measured) -> Path | None:
    """Final numbers go to the run, and the model to its folder, None where none is kept."""
    run = session.run
    attach.log_training(run, measured.scores, measured.cost)
    if not session.job.keep:
        folder = session.job.out
        if folder:  # for whoever asked to look at it: it is not sent
            folder.mkdir(parents=True)
            _write_model(session, optimized, measured, folder)
        return folder  # the end of the run, which follows, flushes

    run.flush()
    folder = session.job.out or Path("build/runs") / run.run_id
    with replacing_folder(folder) as part:
        _write_model(session, optimized, measured, part)
        # sent before the files are in place: a stage that fails leaves none
        run.folder(part, "model", later=folder)
    return folder


def _write_model(session: Session, optimized: Optimized, measured: Measured, folder: Path) -> None:
    """A model is config.yaml, spec.json and weights.pt; train.json and history.csv go with it."""
    config = tree.dump(tree.frozen(session.cfg))
    (folder / "config.yaml").write_text(redact(config))
    measured.task.spec.write(folder / "spec.json")
    torch.save(weights.kept(measured.task), folder / "weights.pt")

    pretrained = build.pretrained(session.cfg).source
    training = Training(
        run_id=session.run.run_id,
        monitor=optimized.monitor,
        epochs=len(optimized.history),
        best_epoch=measured.epoch,
        steps=optimized.steps,
        scores=measured.scores,
        cost=measured.cost,
        machine=environment.machine(session.data.device, session.data.shard.ranks),
        commit=session.commit.sha,
        dirty=session.commit.dirty,
        weights_sha256=sha256(folder / "weights.pt"),
        pretrained_sha256=pretrained.sha256 if pretrained else None,
    )
    training.write(folder / "train.json")
    with (folder / "history.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(optimized.history[-1]))
        writer.writeheader()
        writer.writerows(optimized.history)

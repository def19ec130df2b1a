"""A training as several processes: the parent composes, `torch.distributed.run` starts the rest.

Lightning's own relaunch replays the command line in each child: in a sweep, rank 1 trained other
values than rank 0 (decision 0012).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import (
    FailureError,
    LostMachineError,
    NoMemoryError,
    NonFiniteLossError,
    NoRoomError,
    OutOfMemory,
    PrunedError,
    UserError,
)
from goodfit.launch import devices, resume
from goodfit.launch.exchange import MachineExit, RankError, RankJob, first_error
from goodfit.launch.rendezvous import SILENT, Rendezvous
from goodfit.launch.resume import BegunTraining, Plan
from goodfit.records import Job, Trained
from goodfit.system import signals
from goodfit.system.files import replacing_folder
from goodfit.system.hardware import cores
from goodfit.system.processes import gone, identity
from goodfit.system.signals import WORKER

# raised again in the launcher as if they had happened there
_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error
    for error in (
        LostMachineError,
        NoMemoryError,
        NonFiniteLossError,
        NoRoomError,
        PrunedError,
        UserError,
    )
}
ROOT = Path("build/launch")  # a job's folder has the identity of its launcher as its name
SHUTDOWN_SECONDS = 20.0  # that the other ranks have after the first of them has failed
_POLL_SECONDS = 0.2


def train_together(cfg: DictConfig, job: Job, micro_batches: int) -> Trained | None:
    """Starts this machine's ranks and waits for them; None on a machine that is not the first.

    Raises:
        What the rank raised that failed first, on whatever machine.
    """
    rendezvous = Rendezvous(devices.nodes(cfg))
    remove_abandoned()
    folder = ROOT / identity()
    with ExitStack() as stack:
        plan = _agree_on_plan(rendezvous, cfg, job, stack)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _write_job(cfg, job, micro_batches, plan, folder)
        with signals.defer_signals():
            command = _command(cfg, folder, rendezvous)
            # a session of its own: Ctrl-C reaches this process alone, which hands it on once
            elastic = subprocess.Popen(command, env=_environment(cfg), start_new_session=True)
            code = _wait(elastic, rendezvous, folder)
        exits = rendezvous.exchange_exits(MachineExit.of_folder(folder, code))

        with _recorded(cfg, plan):
            _raise_for(exits)
        result = folder / "result.json"
        if result.exists():
            return Trained.read(result)
        if rendezvous.is_first:
            raise SystemExit(1)
        return None


def remove_abandoned() -> None:
    """Removes what launchers of this machine have left that were killed by kill -9."""
    for folder in ROOT.glob("*"):
        if gone(folder.name):
            shutil.rmtree(folder, ignore_errors=True)  # another launcher may remove it, too


def _agree_on_plan(
    rendezvous: Rendezvous, cfg: DictConfig, job: Job, stack: ExitStack
) -> Plan | None:
    """What all ranks go on from, decided once; None for a training that leaves nothing behind.

    The machine that decides claims the training until `stack` is closed.
    """
    if not job.keep:
        rendezvous.agree(lambda: None)
        return None

    def decide() -> object:
        stack.enter_context(resume.claimed(resume.folder_of(cfg, job.overrides, job.data)))
        plan = resume.plan(cfg, job.overrides, devices.world(cfg), job.data)
        plan.begin()
        return plan.to_json()

    return Plan.of(rendezvous.agree(decide), Path("plan"))


def _write_job(
    cfg: DictConfig, job: Job, micro_batches: int, plan: Plan | None, folder: Path
) -> None:
    """Leaves what the ranks do in `folder`, which is empty apart from it."""
    rank_job = RankJob(
        config={**tree.frozen(cfg), "trainer": OmegaConf.to_container(cfg.trainer)},
        job=job,
        micro_batches=micro_batches,
        plan=plan,
        launcher=identity(),
    )
    with replacing_folder(folder) as part:
        rank_job.write(part / "job.json")


def _command(cfg: DictConfig, folder: Path, rendezvous: Rendezvous) -> list[str]:
    address = rendezvous.address
    if address:
        machines = [
            f"--nnodes={address.nodes}",
            f"--node-rank={address.node}",
            f"--master-addr={address.host}",
            f"--master-port={address.port}",
        ]
    else:
        machines = ["--standalone"]
    # no --rdzv-backend=c10d: its heartbeats only take a machine out of the next rendezvous, and
    # tell running ranks nothing (decision 0017)
    return [
        *(sys.executable, "-m", "goodfit.launch.elastic"),
        f"--nproc-per-node={cfg.trainer.devices}",
        "--monitor-interval=0.3",
        *machines,
        f"--shutdown-timeout={int(SHUTDOWN_SECONDS)}",
        *("-m", "goodfit.launch.worker", str(folder / "job.json")),
    ]


def _environment(cfg: DictConfig) -> dict[str, str]:
    threads = max(1, len(cores()) // int(cfg.trainer.devices))
    # a number of threads that the user has set stays
    return {"OMP_NUM_THREADS": str(threads), **os.environ, WORKER: "1"}


def _wait(elastic: subprocess.Popen[bytes], rendezvous: Rendezvous, folder: Path) -> int:
    """The exit code of `launch.elastic`, once all ranks of this machine have ended.

    A signal to this process is handed on once. From then on, or once a machine is lost, the ranks
    have a limited time to end.
    """
    stopping_since = None
    while True:
        try:
            return elastic.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            pass

        if stopping_since is None:
            lost = rendezvous.lost()
            if signals.stop_requested():
                elastic.send_signal(signals.stop_requested())
                stopping_since = time.monotonic()
            elif lost:
                _report_lost(lost[0], folder)
                stopping_since = time.monotonic()
        # elastic ends its ranks within SHUTDOWN_SECONDS; 5 more are for elastic itself
        elif time.monotonic() - stopping_since > SHUTDOWN_SECONDS + 5:
            os.killpg(elastic.pid, signal.SIGKILL)


def _report_lost(machine: int, folder: Path) -> None:
    """Leaves an error as a rank does: this machine's ranks, which wait for that one's, end."""
    error = RankError.of_lost_machine(machine, SILENT)
    error.write(RankError.path(folder, error.rank))


@contextmanager
def _recorded(cfg: DictConfig, plan: Plan | None) -> Iterator[None]:
    """An error in the block is written to the run, where rank 0 did not see it or was killed."""
    try:
        yield
    except (FailureError, SystemExit) as error:
        begun = BegunTraining.find(plan.folder) if plan else None
        if plan and begun and not signals.stop_requested():
            _record(cfg, plan, begun, error)
        raise


def _record(cfg: DictConfig, plan: Plan, begun: BegunTraining, error: BaseException) -> None:
    """A non-finite loss is FAILED, for good; another run whose process is gone is KILLED."""
    from goodfit.tracking import runs  # imports MLflow when a run is asked for

    is_verdict = isinstance(error, NonFiniteLossError) and begun.ended is None
    reason = f"{type(error).__name__}: {error}"
    if is_verdict:
        plan.record_verdict(reason)
    with suppress(UserError):  # the database does not answer
        run = runs.find(str(cfg.tracking.uri), begun.run_id)
        if run:
            runs.mark_killed(run.client, run.experiment)
        if run and is_verdict:
            # whether rank 0 met its end by itself or was ended with the others
            run.tag(ended=reason)
            run.end(runs.FAILED)


def _raise_for(exits: Sequence[MachineExit]) -> None:
    """Raises where any machine's ranks did not end well."""
    error = first_error(exits)
    reported = {str(error.rank) for machine in exits for error in machine.errors}
    for machine in exits:
        for rank, name in machine.killed.items():
            # a killed rank reports nothing; what the others report is that they lost it
            if rank not in reported and not signals.stop_requested():
                print(
                    f"goodfit: rank {rank} was killed by {name}; the same command goes on",
                    file=sys.stderr,
                )
                raise SystemExit(1)
    if error:
        _raise(error)

    codes = [machine.exit_code for machine in exits if machine.exit_code]
    if codes and signals.stop_requested():
        raise SystemExit(128 + signals.stop_requested())
    if codes and codes[0] < 0:  # minus the number of the signal that ended it
        name = signal.Signals(-codes[0]).name
        print(
            f"goodfit: the process that starts the ranks was killed by {name}; "
            "the same command goes on",
            file=sys.stderr,
        )
        raise SystemExit(1)
    if codes:
        raise SystemExit(codes[0])


def _raise(error: RankError) -> None:
    """A rank's error, as if it had happened here."""
    if error.kind == SystemExit.__name__:
        raise SystemExit(error.exit_code)
    if error.kind == OutOfMemory.__name__:
        raise OutOfMemory(error.message, error.micro_batches)
    if error.kind in _ERRORS:
        raise _ERRORS[error.kind](error.message)

    print(error.traceback, file=sys.stderr)
    print(
        f"goodfit: rank {error.rank} failed first: {error.kind}: {error.message}", file=sys.stderr
    )
    raise SystemExit(1)

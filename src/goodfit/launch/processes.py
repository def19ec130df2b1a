"""A training as several processes: the parent composes and checks, `torch.distributed.run` starts
the rest.

Lightning's own relaunch replays the command line in each child: in a sweep, rank 1 trained other
values than rank 0 (decision 0012).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import (
    FailureError,
    LostMachineError,
    NonFiniteLossError,
    NoRoomError,
    OutOfMemory,
    PrunedError,
    UserError,
)
from goodfit.launch import devices, resume
from goodfit.launch.exchange import Killed, MachineEnd, RankError, RankJob, first_error
from goodfit.launch.liveness import SILENCE
from goodfit.launch.rendezvous import Rendezvous
from goodfit.launch.resume import BegunTraining, Plan
from goodfit.records import Job, Trained
from goodfit.system import signals
from goodfit.system.files import replacing_folder
from goodfit.system.hardware import cores
from goodfit.system.processes import identity
from goodfit.system.signals import WORKER

_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error
    for error in (LostMachineError, NonFiniteLossError, NoRoomError, PrunedError, UserError)
}
SHUTDOWN_SECONDS = 20.0  # that the other ranks have after the first of them has failed


def train_together(cfg: DictConfig, job: Job, micro_batches: int) -> Trained | None:
    """Starts this machine's ranks and waits for them; None on a machine that is not the first.

    Raises:
        What the rank raised that failed first, on whatever machine.
    """
    rendezvous = Rendezvous(devices.nodes(cfg))
    plan = _agreed_plan(rendezvous, cfg, job)
    folder = Path("build/launch") / f"{cfg.name}-{socket.gethostname()}-{os.getpid()}"
    with replacing_folder(folder):
        pass
    content = {**tree.frozen(cfg), "trainer": OmegaConf.to_container(cfg.trainer)}
    rank_job = RankJob(
        config=content,
        job=job,
        micro_batches=micro_batches,
        plan=plan,
        launcher=identity(),
    )
    rank_job.write(folder / "job.json")
    command = _command(cfg, folder, rendezvous)
    try:
        with signals.defer_signals():
            launcher = subprocess.Popen(command, env=_environment(cfg), start_new_session=True)
            code = _wait(launcher, rendezvous, folder)
        ends = rendezvous.ends(_own_end(folder, code))
        with _recorded(cfg, plan):
            _raise_for(ends)
        result = folder / "result.json"
        if result.exists():
            return Trained.read(result)
        if rendezvous.first:
            raise SystemExit(1)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _agreed_plan(rendezvous: Rendezvous, cfg: DictConfig, job: Job) -> Plan | None:
    """What all ranks go on from, decided once; None for a training that leaves nothing behind."""
    if not job.keep:
        rendezvous.agree(lambda: None)
        return None

    def decide() -> object:
        plan = resume.plan(cfg, job.overrides, devices.world(cfg))
        plan.begin()
        return plan.to_json()

    return Plan.of(rendezvous.agree(decide), Path("plan"))


def _command(cfg: DictConfig, folder: Path, rendezvous: Rendezvous) -> list[str]:
    address = rendezvous.address
    if address:
        where = [
            f"--nnodes={address.nodes}",
            f"--node-rank={address.node}",
            f"--master-addr={address.host}",
            f"--master-port={address.port}",
        ]
    else:
        where = ["--standalone"]
    return [
        *(sys.executable, "-m", "goodfit.launch.elastic"),
        f"--nproc-per-node={cfg.trainer.devices}",
        "--monitor-interval=0.3",
        *where,
        f"--shutdown-timeout={int(SHUTDOWN_SECONDS)}",
        *("-m", "goodfit.launch.worker", str(folder / "job.json")),
    ]


def _environment(cfg: DictConfig) -> dict[str, str]:
    threads = max(1, len(cores()) // int(cfg.trainer.devices))
    return {"OMP_NUM_THREADS": str(threads), **os.environ, WORKER: "1"}


def _wait(launcher: subprocess.Popen[bytes], rendezvous: Rendezvous, folder: Path) -> int:
    """Until all ranks are gone; a signal that reaches this process is handed on once, and then time
    is short.
    """
    told = None
    while True:
        try:
            return launcher.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
        lost = [] if told else rendezvous.lost()
        if told is None and signals.stop_requested():
            told = time.monotonic()
            launcher.send_signal(signal.Signals(signals.stop_requested()))
        elif lost:
            told = time.monotonic()
            _note_lost(lost[0], folder)
        # elastic ends its ranks within SHUTDOWN_SECONDS; 5 more are for elastic itself
        if told and time.monotonic() - told > SHUTDOWN_SECONDS + 5:
            os.killpg(launcher.pid, signal.SIGKILL)


def _note_lost(machine: int, folder: Path) -> None:
    """As a rank notes its error: the others, who wait for an answer that will not come, see the
    file and end.
    """
    error = RankError(
        when=time.time(),
        rank=-1,
        kind=LostMachineError.__name__,
        message=f"machine {machine} has had no heartbeat for {SILENCE:.0f} s; the same command goes on",
    )
    error.write(RankError.path(folder, error.rank))


def _own_end(folder: Path, code: int) -> MachineEnd:
    path = folder / "killed.json"
    killed = Killed.read(path).ranks if path.exists() else {}
    return MachineEnd(exit_code=code, errors=RankError.read_all(folder), killed=killed)


@contextmanager
def _recorded(cfg: DictConfig, plan: Plan | None) -> Iterator[None]:
    """What the first rank did not see, or was killed before it could say, is written to the run."""
    try:
        yield
    except (FailureError, SystemExit) as error:
        begun = BegunTraining.find(plan.folder) if plan else None
        if plan and begun and not signals.stop_requested():
            _record(cfg, plan, begun, error)
        raise


def _record(cfg: DictConfig, plan: Plan, begun: BegunTraining, error: BaseException) -> None:
    """A broken loss ends the training for good; a run whose process is gone is KILLED."""
    from goodfit.tracking import runs  # imports MLflow when a run is asked for

    broken = isinstance(error, NonFiniteLossError) and begun.ended is None
    reason = f"{type(error).__name__}: {error}"
    if broken:
        plan.failed(reason)
    with suppress(UserError):  # of a database that does not answer
        run = runs.find(str(cfg.tracking.uri), begun.run_id)
        if run:
            runs.mark_killed(run.client, run.experiment)
        if run and broken:
            run.tag(ended=reason)
            run.flush()


def _raise_for(ends: Sequence[MachineEnd]) -> None:
    """Raises where any machine's ranks did not end well."""
    error = first_error(ends)
    spoke = {str(error.rank) for end in ends for error in end.errors}
    for end in ends:
        for rank, name in end.killed.items():
            # who was killed could say nothing; what the others say of a lost connection is its echo
            if rank not in spoke and not signals.stop_requested():
                print(
                    f"goodfit: rank {rank} was killed by {name}; the same command goes on",
                    file=sys.stderr,
                )
                raise SystemExit(1)
    if error:
        _raise(error)
    codes = [end.exit_code for end in ends if end.exit_code]
    if codes:
        raise SystemExit(128 + signals.stop_requested() if signals.stop_requested() else codes[0])


def _raise(error: RankError) -> None:
    """A rank's error, as if it had happened here."""
    if error.kind == "SystemExit":
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

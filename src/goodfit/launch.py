"""One training, on one device or many: the parent composes and checks, `torch.distributed.run` starts the rest.

Lightning's own relaunch replays the command line in each child: in a sweep, rank 1 trained other values than rank 0.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from goodfit import config, devices, stop
from goodfit.contract import Trained
from goodfit.errors import (
    FailureError,
    LostMachineError,
    NonFiniteLossError,
    NoRoomError,
    OutOfMemory,
    PrunedError,
    UserError,
)
from goodfit.files import read_json, replacing, write_json
from goodfit.meeting import Meeting, Place
from goodfit.places import Places
from goodfit.process import identity
from goodfit.pulse import SILENCE

if TYPE_CHECKING:
    from pytorch_lightning import Callback

_TOLD = (LostMachineError, NonFiniteLossError, NoRoomError, PrunedError, UserError)
_ERRORS: dict[str, type[Exception]] = {error.__name__: error for error in _TOLD}
LAST_WORDS = 20.0  # seconds that the others have after the first of them has failed


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the model goes to models/<experiment>."""
    _tell(fit(cfg, out=Places(cfg.name).model))


def by_hand(cfg: DictConfig) -> float:
    """`python pipelines/train.py ...`: the model goes to build/runs/<run>, beside whatever DVC keeps.

    A trial of a sweep keeps none: the winner is trained again by `dvc repro`.
    """
    from hydra.core.hydra_config import HydraConfig

    from hydra_plugins.hydra_optuna_sweeper import trial as trials

    overrides = HydraConfig.get().overrides.task
    if trials.active():
        from goodfit import search

        return search.objective(cfg, overrides)
    trained = fit(cfg, overrides=overrides)
    _tell(trained)
    return trained.score


def fit(
    cfg: DictConfig,
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    keep: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Trained:
    """Trains on what `trainer` asks for, and with smaller micro-batches where memory runs out; see `train.work`.

    `callbacks` can watch a training on one device.
    """
    cfg = devices.resolved(cfg)
    if keep:
        print(f"training {cfg.name} on {devices.said(cfg)}", flush=True)
    parts = 1
    while True:
        job = {"out": str(out or ""), "overrides": list(overrides), "tags": dict(tags or {}), "keep": keep}
        try:
            return _alone(cfg, job, parts, callbacks) if devices.world(cfg) == 1 else _together(cfg, job, parts)
        except OutOfMemory as error:
            parts = _smaller(cfg, error.parts)


def _smaller(cfg: DictConfig, parts: int) -> int:
    """Twice as many micro-batches in a step; raises UserError where a device would get no sample."""
    parts *= 2
    size = int(cfg.loader.batch_size)
    if parts * devices.world(cfg) > size:
        raise UserError(
            f"memory runs out with single samples; choose a smaller model ({parts // 2} micro-batches tried)"
        )
    each = -(-size // (parts * devices.world(cfg)))
    print(f"memory ran out: {each} samples at once from now on, {parts} times for each step of {size}", flush=True)
    return parts


def _alone(cfg: DictConfig, job: dict[str, Any], parts: int, callbacks: Sequence[Callback]) -> Trained:
    from goodfit import train

    return train.work(cfg, job, parts, callbacks=callbacks)


def _together(cfg: DictConfig, job: dict[str, Any], parts: int) -> Trained:
    """Starts this machine's processes and waits; the error that is raised is that of the one that failed first."""
    meeting = Meeting(devices.nodes(cfg))
    folder = Path("build/launch") / f"{cfg.name}-{socket.gethostname()}-{os.getpid()}"
    with replacing(folder):
        pass
    content = {**config.frozen(cfg), "trainer": OmegaConf.to_container(cfg.trainer)}
    plan = meeting.decided(lambda: _plan(cfg, job))
    write_json(folder / "job.json", {"config": content, "job": job, "parts": parts, "plan": plan, "by": identity()})
    command = _command(cfg, folder, meeting.place)
    try:
        with stop.patiently():
            agent = subprocess.Popen(command, env=_environment(cfg), start_new_session=True)
            code = _wait(agent, meeting, folder)
        failures = [read_json(path) for path in folder.glob("error-*.json")]
        killed = read_json(folder / "killed.json") if (folder / "killed.json").exists() else {}
        ends = meeting.ended({"code": code, "failures": failures, "killed": killed})
        with _verdict(cfg, plan):
            _judge(ends)
        if not (folder / "result.json").exists():
            raise SystemExit(1)
        result = read_json(folder / "result.json")
        return Trained(**{**result, "folder": Path(result["folder"]) if result["folder"] else None})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plan(cfg: DictConfig, job: dict[str, Any]) -> dict[str, Any] | None:
    """What all ranks go on from, decided once; None for a training that leaves nothing behind."""
    if not job["keep"]:
        return None
    from goodfit import resume

    return resume.plan(cfg, job["overrides"], devices.world(cfg)).stored()


@contextmanager
def _verdict(cfg: DictConfig, plan: dict[str, Any] | None) -> Iterator[None]:
    """What the first rank did not see, or was killed before it could say, is said of the run."""
    try:
        yield
    except (FailureError, SystemExit) as error:
        left = Path(plan["folder"] if plan else "", "training.json")
        if plan and left.exists() and not stop.asked():
            _say_of(cfg, plan, read_json(left), error)
        raise


def _say_of(cfg: DictConfig, plan: dict[str, Any], begun: dict[str, Any], error: BaseException) -> None:
    """A broken loss ends the training for good; a run whose process is gone is KILLED."""
    from goodfit import resume, track

    broken = isinstance(error, NonFiniteLossError) and "ended" not in begun
    reason = f"{type(error).__name__}: {error}"
    if broken:
        resume.read(plan).over(reason)
    with suppress(UserError):  # of a database that does not answer
        if run := track.find(str(cfg.tracking.uri), begun["run_id"]):
            track.bury(run.client, run.experiment)
            if broken:
                run.tag(ended=reason)
                run.flush()


def _judge(ends: Sequence[dict[str, Any]]) -> None:
    """Raises where any machine's workers did not end well."""
    failures = sorted((one for end in ends for one in end["failures"]), key=lambda one: one["when"])
    spoke = {str(failure["rank"]) for failure in failures}
    # who was killed could say nothing; what the others say of a lost connection is its echo
    for rank, name in [item for end in ends for item in end["killed"].items()]:
        if rank not in spoke and not stop.asked():
            print(f"goodfit: rank {rank} was killed by {name}; the same command goes on", file=sys.stderr)
            raise SystemExit(1)
    if failures:
        _raise(failures[0])
    if codes := [end["code"] for end in ends if end["code"]]:
        raise SystemExit(128 + stop.asked() if stop.asked() else codes[0])


def _command(cfg: DictConfig, folder: Path, place: Place | None) -> list[str]:
    where = ["--standalone"]
    if place:
        where = [f"--nnodes={place.nodes}", f"--node-rank={place.node}"]
        where += [f"--master-addr={place.host}", f"--master-port={place.port}"]
    return [
        *(sys.executable, "-m", "goodfit.agent", f"--nproc-per-node={cfg.trainer.devices}", "--monitor-interval=0.3"),
        *(*where, f"--shutdown-timeout={int(LAST_WORDS)}", "-m", "goodfit.worker", str(folder / "job.json")),
    ]


def _environment(cfg: DictConfig) -> dict[str, str]:
    threads = str(max(1, len(devices.cores()) // int(cfg.trainer.devices)))
    return {"OMP_NUM_THREADS": threads, **os.environ, "GOODFIT_WORKER": "1"}


def _wait(agent: subprocess.Popen[bytes], meeting: Meeting, folder: Path) -> int:
    """Until all are gone; a signal that reaches this process is handed on once, and then there is a last word."""
    told = 0.0
    while True:
        try:
            return agent.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
        if stop.asked() and not told:
            told = time.monotonic()
            agent.send_signal(signal.Signals(stop.asked()))
        elif not told and (lost := meeting.lost()):
            told = time.monotonic()
            _note_lost(lost[0], folder)
        if told and time.monotonic() - told > LAST_WORDS + 5:
            os.killpg(agent.pid, signal.SIGKILL)


def _note_lost(machine: int, folder: Path) -> None:
    """As a rank notes its error: the others, who wait for an answer that will not come, see the file and end."""
    message = f"machine {machine} has given no sign of life for {SILENCE:.0f} s; the same command goes on"
    facts = {"when": time.time(), "rank": -1, "kind": LostMachineError.__name__, "message": message}
    write_json(folder / "error-machine.json", facts)


def _raise(failure: dict[str, Any]) -> None:
    """The first failure, as if it had happened here."""
    if failure["kind"] == "SystemExit":
        raise SystemExit(failure["code"])
    if failure["kind"] == OutOfMemory.__name__:
        raise OutOfMemory(failure["message"], failure["parts"])
    if error := _ERRORS.get(failure["kind"]):
        raise error(failure["message"])
    print(failure["traceback"], file=sys.stderr)
    print(f"goodfit: rank {failure['rank']} failed first: {failure['kind']}: {failure['message']}", file=sys.stderr)
    raise SystemExit(1)


def _tell(trained: Trained) -> None:
    if trained.run_id:  # of several machines the first has it
        print(f"{trained.monitor} {trained.score:.4f} with the weights kept in {trained.folder}; run {trained.run_id}")

"""One training on two machines: the same loss curve, one run, and both know how it ended."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import slurm
import tiny
from omegaconf import DictConfig, OmegaConf

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.launch.rendezvous import address
from goodfit.tracking import database, runs
from goodfit.training.checkpoint_files import step_checkpoints, verified

pytestmark = pytest.mark.slow
Home = Callable[..., DictConfig]
TRAIN = [sys.executable, "pipelines/train.py", "build/tiny.json"]


def prepare(
    home: Home, folder: Path, *, trainer: Mapping[str, object] | None = None, **changes: object
) -> DictConfig:
    """A repository with one composed experiment, for two machines of one rank each."""
    machines = {"max_epochs": 3, "num_nodes": 2, "devices": 1, "strategy": "ddp"}
    cfg = tiny.calm(home(trainer=machines | dict(trainer or {}), **changes))
    for name in ("pipelines", "conf"):
        shutil.copytree(tiny.ROOT / name, folder / name)
    (folder / "build").mkdir()
    (folder / "build/tiny.json").write_text(tree.dump(OmegaConf.to_container(cfg)))  # type: ignore[arg-type]
    return cfg


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command as on one of the machines, which all are this one."""
    port = str(slurm.ports(1)[0])
    started: list[subprocess.Popen[str]] = []

    def machine(node: int, command: list[str] = TRAIN) -> subprocess.Popen[str]:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": str(node)}
        env = {**os.environ, **address, "PYTHONPATH": str(tiny.ROOT / "src")}
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield machine
    for process in started:
        end(process)


def end(machine: subprocess.Popen[str]) -> None:
    """With all that it started, also where that is frozen; and closes its pipes."""
    if machine.poll() is None:
        for process in processes(machine):
            process.kill()
    for stream in (machine.stdout, machine.stderr):
        if stream:
            stream.close()
    machine.wait()


def processes(machine: subprocess.Popen[str]) -> list[psutil.Process]:
    """The launcher of a machine, and all that it has started."""
    launcher = psutil.Process(machine.pid)
    return [launcher, *launcher.children(recursive=True)]


def curve(model: Path) -> list[float]:
    keys = ("train/loss", "val/loss")
    with (model / "history.csv").open() as stream:
        return [float(row[key]) for row in csv.DictReader(stream) for key in keys]


def curve_of_one(folder: Path, cfg: DictConfig) -> list[float]:
    """The loss curve of one process at the same batch size."""
    from goodfit.launch.fit import fit

    one = OmegaConf.merge(cfg, {"trainer": {"num_nodes": 1, "strategy": "auto"}})
    assert isinstance(one, DictConfig)
    fit(one, out=folder / "one")
    return curve(folder / "one")


def statuses(cfg: DictConfig) -> list[str]:
    client = database.connect(cfg.tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return [run.info.status for run in client.search_runs([experiment.experiment_id])]


def test_two_machines_have_the_loss_curve_of_one_and_one_run(
    home: Home, tmp_path: Path, start: Callable[[int], subprocess.Popen[str]]
) -> None:
    cfg = prepare(home, tmp_path)
    machines = [start(1), start(0)]
    outputs = [process.communicate(timeout=120) for process in machines]
    assert [process.returncode for process in machines] == [0, 0], outputs
    for node, (output, _) in zip((1, 0), outputs, strict=True):
        assert f"machine {node} waits at 127.0.0.1:" in output
    assert statuses(cfg) == [runs.FINISHED]
    assert curve(tmp_path / "models/tiny") == pytest.approx(curve_of_one(tmp_path, cfg), abs=2e-5)


def wait_for_checkpoints(folder: Path, machines: list[subprocess.Popen[str]]) -> None:
    """Waits until the training has saved itself twice."""
    deadline = time.monotonic() + 90
    while len(list((folder / "build/checkpoints/tiny").glob("step-*.json"))) < 2:
        for process in machines:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


LONG = {
    "trainer": {"max_epochs": 100_000},
    "early_stopping": {"patience": None},
    "checkpoint": {"seconds": 0},
}


def test_a_signal_to_one_machine_ends_both_with_a_checkpoint_and_its_code(
    home: Home, tmp_path: Path, start: Callable[[int], subprocess.Popen[str]]
) -> None:
    cfg = prepare(home, tmp_path, **LONG)
    machines = [start(0), start(1)]
    wait_for_checkpoints(tmp_path, machines)
    machines[1].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=60) for process in machines]
    assert [process.returncode for process in machines] == [143, 143], outputs
    assert statuses(cfg) == [runs.KILLED]
    assert step_checkpoints(tmp_path / "build/checkpoints/tiny")


def worker(machine: subprocess.Popen[str]) -> psutil.Process:
    """The only rank of a machine."""
    ranks = []
    for process in processes(machine):
        command = process.cmdline()
        if "goodfit.launch.worker" in command and "goodfit.launch.elastic" not in command:
            ranks.append(process)
    [rank] = ranks
    return rank


@pytest.mark.parametrize("node", [0, 1])
def test_a_rank_that_is_killed_on_one_machine_is_named_on_both(
    home: Home, tmp_path: Path, start: Callable[[int], subprocess.Popen[str]], node: int
) -> None:
    prepare(home, tmp_path, **LONG)
    machines = [start(0), start(1)]
    wait_for_checkpoints(tmp_path, machines)
    worker(machines[node]).kill()
    started = time.monotonic()
    errors = [process.communicate(timeout=60)[1] for process in machines]
    assert time.monotonic() - started < 30
    assert [process.returncode for process in machines] == [1, 1], errors
    last = f"goodfit: rank {node} was killed by SIGKILL; the same command goes on"
    assert [text.splitlines()[-1] for text in errors] == [last, last]


def test_a_machine_that_leaves_later_than_the_first_says_nothing_of_lost_connections(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    """In two rounds, as after memory has run out.

    Torch would print a page of C++ after the last line for the user.
    """
    code = """
import sys, time
from goodfit.launch.exchange import MachineExit
from goodfit.launch.rendezvous import Rendezvous
for round in range(2):
    rendezvous = Rendezvous(2)
    rendezvous.agree(lambda: "go")
    time.sleep(1.5)
    assert not rendezvous.lost()
    rendezvous.exchange_exits(MachineExit(exit_code=0, errors=(), killed={}))
time.sleep(3 * rendezvous.address.node)
"""
    machines = [start(node, [sys.executable, "-c", code]) for node in range(2)]
    assert [process.communicate(timeout=60)[1] for process in machines] == ["", ""]
    assert [process.returncode for process in machines] == [0, 0]


PATIENCE = """
import sys, time
from goodfit.launch import liveness, rendezvous
from goodfit.launch.exchange import MachineExit
rendezvous.EXIT_TIMEOUT = 0.5
liveness.MACHINE_TIMEOUT = 3.0
machines = rendezvous.Rendezvous(2)
machines.agree(lambda: "go")
if machines.is_first:
    time.sleep(6)
print(len(machines.exchange_exits(MachineExit(exit_code=0, errors=(), killed={}))))
"""


def test_a_machine_that_is_done_waits_while_the_first_still_writes_the_model(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    """Had it left, it would count as lost, and the writing would be ended."""
    machines = [start(node, [sys.executable, "-c", PATIENCE]) for node in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in machines]
    assert [text.splitlines()[-1] for text in outputs] == ["2", "2"]


def freeze(machine: subprocess.Popen[str]) -> None:
    """What the other machine sees of a power cut: connections that stay open, and no answer."""
    for process in processes(machine):
        process.suspend()


@pytest.mark.parametrize("node", [0, pytest.param(1, marks=pytest.mark.fault(19))])
def test_a_machine_that_is_lost_without_a_word_ends_the_other_within_seconds(
    home: Home, tmp_path: Path, start: Callable[[int], subprocess.Popen[str]], node: int
) -> None:
    cfg = prepare(home, tmp_path, **LONG)
    machines = [start(0), start(1)]
    wait_for_checkpoints(tmp_path, machines)
    others = psutil.Process(machines[1 - node].pid).children(recursive=True)
    freeze(machines[node])
    started = time.monotonic()
    _, errors = machines[1 - node].communicate(timeout=60)
    assert time.monotonic() - started < 30
    last = f"goodfit: machine {node} has had no heartbeat for 15 s; the same command goes on"
    assert (machines[1 - node].returncode, errors.splitlines()[-1]) == (1, last)
    assert not psutil.wait_procs(others, timeout=5)[1]
    end(machines[node])
    if node:
        assert statuses(cfg) == [runs.KILLED]
    assert verified(step_checkpoints(tmp_path / "build/checkpoints/tiny")[0])


@pytest.mark.parametrize("node", [0, pytest.param(1, marks=pytest.mark.fault(19))])
def test_a_machine_whose_processes_are_killed_is_named_in_one_line(
    home: Home, tmp_path: Path, start: Callable[[int], subprocess.Popen[str]], node: int
) -> None:
    prepare(home, tmp_path, **LONG)
    machines = [start(0), start(1)]
    wait_for_checkpoints(tmp_path, machines)
    end(machines[node])
    started = time.monotonic()
    _, errors = machines[1 - node].communicate(timeout=60)
    assert time.monotonic() - started < 30
    reason = "has had no heartbeat for 15 s" if node else "has closed its connection"
    line = f"goodfit: machine {node} {reason}; the same command goes on\n"
    assert (machines[1 - node].returncode, errors) == (1, line)


def test_a_mistake_that_the_first_machine_finds_is_told_on_both(
    home: Home, tmp_path: Path, start: Callable[[int], subprocess.Popen[str]]
) -> None:
    prepare(home, tmp_path, resume="must")
    machines = [start(1), start(0)]
    errors = [process.communicate(timeout=60)[1] for process in machines]
    assert [process.returncode for process in machines] == [2, 2], errors
    line = (
        "goodfit: resume=must, but nothing was begun in build/checkpoints/tiny; "
        "resume=auto starts anew"
    )
    assert [text.splitlines()[-1] for text in errors] == [line, line]


AGREE = """
import sys, time
from goodfit.errors import UserError
from goodfit.launch import rendezvous

meet = rendezvous._store
late = float(sys.argv[1])
rendezvous._store = lambda address: (meet(address), time.sleep(late))[0]

def decide():
    raise UserError("a mistake")

try:
    rendezvous.Rendezvous(2).agree(decide)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.fault(19)
def test_the_first_machine_does_not_leave_before_the_others_know_its_mistake(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """It holds what they read: one that was late by seconds waited in vain for minutes."""
    machines = [
        start(node, [sys.executable, "-c", AGREE, late]) for node, late in ((1, "4"), (0, "0"))
    ]
    outputs = [process.communicate(timeout=60)[0] for process in machines]
    assert [text.splitlines()[-1] for text in outputs] == ["UserError: a mistake"] * 2


def test_without_an_address_to_meet_at_it_says_what_is_needed(home: Home, tmp_path: Path) -> None:
    prepare(home, tmp_path)
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SLURM", "MASTER", "NODE_RANK"))
    }
    env |= {"PYTHONPATH": str(tiny.ROOT / "src")}
    done = subprocess.run(TRAIN, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        "trainer.num_nodes=2 needs MASTER_ADDR and NODE_RANK in the environment, or Slurm"
        in done.stderr
    )


@pytest.mark.parametrize("port", ["abc", "0", "65535", "-1"])
def test_an_impossible_port_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    for name, value in {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"MASTER_PORT={port}, expected a number from 1 to 65534"):
        address(2)


def test_without_slurms_programs_its_variables_say_too_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-2]")
    monkeypatch.setenv("SLURM_NODEID", "0")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="needs MASTER_ADDR and NODE_RANK"):
        address(2)


@pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing() or "there is a Slurm")
def test_under_slurm_the_nodes_find_each_other_by_themselves(home: Home, tmp_path: Path) -> None:
    cfg = prepare(home, tmp_path)
    with slurm.cluster(tmp_path / "slurm") as environment:
        env = {**environment, "MASTER_ADDR": "127.0.0.1", "PYTHONPATH": str(tiny.ROOT / "src")}
        command = ["srun", "-N2", "--ntasks-per-node=1", *TRAIN]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(cfg) == [runs.FINISHED]
    assert curve(tmp_path / "models/tiny") == pytest.approx(curve_of_one(tmp_path, cfg), abs=2e-5)

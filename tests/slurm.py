"""A Slurm of our own: two nodes on this machine, from Debian's packages, in a given folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")
PATH = f"{os.environ['PATH']}:/usr/sbin"


def missing() -> str:
    """Why no Slurm can be started here, or "": pytest wants a reason that is a string."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if lacking:
        return f"apt-get install slurm-wlm munge: there is no {', '.join(lacking)}"
    return "" if os.geteuid() == 0 else "slurmd wants root"


@contextmanager
def cluster(folder: Path, **options: str) -> Iterator[dict[str, str]]:
    """Starts munged, slurmctld and a slurmd for each of the nodes n1 and n2.

    Gives the environment in which to call srun. `options` are lines of slurm.conf.
    """
    munge = folder / "munge"
    munge.mkdir(mode=0o700, parents=True)
    (munge / "key-file").write_bytes(os.urandom(128))
    (munge / "key-file").chmod(0o600)

    conf = folder / "slurm.conf"
    conf.write_text(_configuration(folder, munge, options))
    (folder / "state").mkdir()
    environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(conf)}
    names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
    files = [f"--{name}={munge}/{name}" for name in names]

    with _running(["munged", "--foreground", "--force", *files], environment):
        _until(lambda: (munge / "socket").exists(), "munged's socket")
        with (
            _running(["slurmctld", "-D"], environment),
            _running(["slurmd", "-D", "-N", "n1"], environment),
            _running(["slurmd", "-D", "-N", "n2"], environment),
        ):
            _until(lambda: _idle(environment) == 2, "two idle nodes")
            yield environment
            cancel = ["scancel", "--state=RUNNING", "--user=root"]
            subprocess.run(cancel, env=environment, check=False)


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A daemon; ten seconds after SIGTERM it is killed."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _configuration(folder: Path, munge: Path, options: dict[str, str]) -> str:
    """Two CPUs a node; no cgroups, no accounting: what a container without systemd can do."""
    host = socket.gethostname().split(".")[0]
    control, *nodes = ports(3)
    values = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": control,
        "SlurmUser": "root",
        "AuthInfo": f"socket={munge}/socket",
        "StateSaveLocation": folder / "state",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdPidFile": folder / "slurmd-%n.pid",
        "SlurmdSpoolDir": folder / "spool-%n",
        "SlurmdLogFile": folder / "slurmd-%n.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "SlurmdParameters": "config_overrides",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "MpiDefault": "none",
        **options,
    }
    lines = [f"{key}={value}" for key, value in values.items()]
    for number, port in enumerate(nodes, 1):
        lines.append(
            f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2"
        )
    lines.append("PartitionName=all Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def _idle(environment: dict[str, str]) -> int:
    command = ["sinfo", "--noheader", "--Node", "--format=%t"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.split().count("idle")


def ports(count: int) -> list[int]:
    """Numbers that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for bound in sockets:
        bound.bind(("127.0.0.1", 0))
    numbers = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return numbers


def _until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)

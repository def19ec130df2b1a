"""A Slurm of our own: two nodes on this machine, from Debian's packages, in a folder that is thrown
away.
"""

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
    """Why no Slurm can be started here, or ""."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if lacking:
        return f"apt-get install slurm-wlm munge: there is no {', '.join(lacking)}"
    return "" if os.geteuid() == 0 else "slurmd wants root"


@contextmanager
def cluster(folder: Path, **options: str) -> Iterator[dict[str, str]]:
    """Starts munged, slurmctld and a slurmd for each of n1 and n2; gives the environment in which
    to call srun.

    Two CPUs a node; no cgroups, no accounting: what a container without systemd can do.
    """
    host = socket.gethostname().split(".")[0]
    munge = folder / "munge"
    munge.mkdir(mode=0o700, parents=True)
    (munge / "key-file").write_bytes(os.urandom(128))
    (munge / "key-file").chmod(0o600)
    control, *nodes = ports(3)
    lines = {
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
    more = [
        *(
            f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2"
            for i, port in enumerate(nodes, 1)
        ),
        "PartitionName=all Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP",
    ]
    conf = folder / "slurm.conf"
    conf.write_text("\n".join([*(f"{key}={value}" for key, value in lines.items()), *more]) + "\n")
    (folder / "state").mkdir()
    environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(conf)}
    files = [
        f"--{name}={munge}/{name}"
        for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")
    ]
    daemons = [
        ["munged", "--foreground", "--force", *files],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "n1"],
        ["slurmd", "-D", "-N", "n2"],
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            running.append(
                subprocess.Popen(
                    command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            if command[0] == "munged":
                _until(lambda: (munge / "socket").exists(), "munged's socket")
        _until(lambda: _idle(environment) == 2, "two idle nodes")
        yield environment
        subprocess.run(["scancel", "--state=RUNNING", "--user=root"], env=environment, check=False)
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _idle(environment: dict[str, str]) -> int:
    command = ["sinfo", "--noheader", "--Node", "--format=%t"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.split().count("idle")


def ports(count: int) -> list[int]:
    """Numbers that nobody listens on."""
    taken = [socket.socket() for _ in range(count)]
    for each in taken:
        each.bind(("127.0.0.1", 0))
    numbers = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return numbers


def _until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)

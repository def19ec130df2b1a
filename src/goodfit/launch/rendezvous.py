"""Several machines on one training: the first decides, and each learns how the others ended."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from goodfit.errors import UserError
from goodfit.launch.exchange import MachineExit
from goodfit.launch.liveness import MachineWatch

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

JOIN_TIMEOUT = timedelta(seconds=300)  # in which all machines must have started
EXIT_TIMEOUT = timedelta(seconds=30)  # in which a live machine says how its ranks ended
_FIRST_SLURM_PORT, _SLURM_PORTS = 20_000, 20_000  # a job's number chooses among them


class Address(NamedTuple):
    """The first machine's host and port, and which of the `nodes` machines this is."""

    host: str
    port: int
    node: int
    nodes: int


class Rendezvous:
    """One round of a training on all its machines; a training out of memory takes several.

    A single machine waits for nobody, and imports nothing for it.
    """

    _rounds = itertools.count()  # the same on all machines

    def __init__(self, nodes: int) -> None:
        self.address = address(nodes) if nodes > 1 else None
        self._round = next(self._rounds)

    @property
    def is_first(self) -> bool:
        """Whether this is the machine that decides."""
        return self.address is None or self.address.node == 0

    def agree(self, decide: Callable[[], Any]) -> Any:
        """What `decide` gives on the first machine, as JSON has it.

        Raises:
            UserError: the first machine's, on all of them; or the machines did not meet.
        """
        if self.address is None:
            return decide()

        store = _store(self.address)
        _watch(self.address).start()
        if self.is_first:
            decision = _decision(decide)
            store.set(self._key("decided"), json.dumps(decision))
        else:
            decision = json.loads(store.get(self._key("decided")))
        if "error" in decision:
            raise UserError(decision["error"])
        return decision["value"]

    def lost(self) -> list[int]:
        """The machines without a heartbeat."""
        return _watch(self.address).lost() if self.address else []

    def exchange_exits(self, own: MachineExit) -> list[MachineExit]:
        """How the ranks of each machine ended, this one's first; lost machines are left out."""
        lost = self.lost()
        if self.address is None or 0 in lost:
            return [own]
        store = _store(self.address)
        node = self.address.node
        others = [other for other in range(self.address.nodes) if other not in (node, *lost)]

        store.set(self._key(f"ended {node}"), json.dumps(own.to_json()))
        received = [self._receive(store, f"ended {other}") for other in others]
        _watch(self.address).stop()
        store.set(self._key(f"left {node}"), "{}")
        if self.is_first:  # its process holds the store: the others must have read before it goes
            for other in others:
                self._receive(store, f"left {other}")
        return [own, *(MachineExit.of(content, Path("store")) for content in received if content)]

    def _receive(self, store: TCPStore, key: str) -> dict[str, Any] | None:
        """What another machine has set, None where it does not within EXIT_TIMEOUT."""
        try:
            store.wait([self._key(key)], EXIT_TIMEOUT)
            content: dict[str, Any] = json.loads(store.get(self._key(key)))
        except RuntimeError:
            return None
        return content

    def _key(self, key: str) -> str:
        return f"{self._round} {key}"


def address(nodes: int) -> Address:
    """From MASTER_ADDR and NODE_RANK, or from Slurm.

    Raises:
        UserError: neither says it, or a number is out of its range.
    """
    environment = os.environ
    node = environment.get("NODE_RANK", environment.get("SLURM_NODEID"))
    host = environment.get("MASTER_ADDR") or _first_slurm_host(environment)
    if node is None or host is None:
        raise UserError(
            f"trainer.num_nodes={nodes} needs MASTER_ADDR and NODE_RANK in the environment, "
            f"or Slurm: srun --nodes={nodes} --ntasks-per-node=1 python pipelines/train.py ..."
        )
    if not (node.isdecimal() and int(node) < nodes):
        raise UserError(
            f"NODE_RANK={node}, expected a number from 0 to {nodes - 1} (trainer.num_nodes={nodes})"
        )

    job = int(environment.get("SLURM_JOB_ID", 0))
    port = environment.get("MASTER_PORT") or str(_FIRST_SLURM_PORT + job % _SLURM_PORTS)
    if not (port.isdecimal() and 0 < int(port) < 65_535):
        raise UserError(
            f"MASTER_PORT={port}, expected a number from 1 to 65534; the port after it is used, too"
        )
    return Address(host, int(port), int(node), nodes)


def _first_slurm_host(environment: Mapping[str, str]) -> str | None:
    if "SLURM_JOB_NODELIST" not in environment:
        return None
    command = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
    # in a container, Slurm's programs may be missing
    with contextlib.suppress(OSError, IndexError):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return answer.stdout.split()[0]
    return None


def _decision(decide: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": decide()}
    except UserError as error:
        return {"error": str(error)}


@cache
def _store(address: Address) -> TCPStore:
    """On the port after that of `torch.distributed.run`; the first machine's process holds it."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = address.host, address.port + 1
    print(
        f"machine {address.node} waits at {host}:{port} for all {address.nodes}, "
        f"for at most {JOIN_TIMEOUT.total_seconds():.0f} s",
        flush=True,
    )
    try:
        return TCPStore(host, port, address.nodes, address.node == 0, JOIN_TIMEOUT)
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"{address.nodes} machines did not meet at {host}:{port} ({reason})"
        ) from None


@cache
def _watch(address: Address) -> MachineWatch:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    own = TCPStore(address.host, address.port + 1, is_master=False, wait_for_workers=False)
    return MachineWatch(own, address.node, address.nodes)

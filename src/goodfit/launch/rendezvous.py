"""Several machines on one training: the first decides for all, and each hears how the others ended."""

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
from goodfit.launch.exchange import MachineEnd
from goodfit.launch.liveness import Heartbeat

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

ARRIVAL = timedelta(seconds=300)  # in which all machines must have started
PARTING = timedelta(seconds=30)  # in which a machine that lives says how its ranks ended


class Address(NamedTuple):
    """Where the machines meet, and which of them this is."""

    host: str
    port: int
    node: int
    nodes: int


class Rendezvous:
    """One round of a training on all its machines.

    A single machine meets nobody, and nothing is imported for it.
    """

    _rounds = itertools.count()

    def __init__(self, nodes: int) -> None:
        self.address = address(nodes) if nodes > 1 else None
        self._round = next(self._rounds)

    @property
    def first(self) -> bool:
        """Whether this is the machine that decides."""
        return self.address is None or self.address.node == 0

    def agree(self, decide: Callable[[], Any]) -> Any:
        """What `decide` gives on the first machine, as JSON has it; its UserError is raised on all
        of them.

        Raises:
            UserError: the first machine's, or the machines did not meet.
        """
        if self.address is None:
            return decide()
        store = _store(self.address)
        _heartbeat(self.address).begin()
        if self.first:
            decision = _decision(decide)
            store.set(self._key("decided"), json.dumps(decision))
        else:
            decision = json.loads(store.get(self._key("decided")))
        if "error" in decision:
            raise UserError(decision["error"])
        return decision["value"]

    def lost(self) -> list[int]:
        """The machines without a heartbeat."""
        return _heartbeat(self.address).lost() if self.address else []

    def ends(self, own: MachineEnd) -> list[MachineEnd]:
        """How the ranks of each machine ended, this one's first; a machine that is gone says
        nothing.
        """
        lost = self.lost()
        if self.address is None or 0 in lost:
            return [own]
        store = _store(self.address)
        node = self.address.node
        others = [other for other in range(self.address.nodes) if other not in (node, *lost)]

        store.set(self._key(f"ended {node}"), json.dumps(own.to_json()))
        heard = [self._heard(store, f"ended {other}") for other in others]
        _heartbeat(self.address).end()
        store.set(self._key(f"left {node}"), "{}")
        if self.first:  # whose process is the store's: the others have read before it goes
            for other in others:
                self._heard(store, f"left {other}")
        return [own, *(MachineEnd.of(end, Path("store")) for end in heard if end)]

    def _heard(self, store: TCPStore, word: str) -> dict[str, Any] | None:
        try:
            store.wait([self._key(word)], PARTING)
            content: dict[str, Any] = json.loads(store.get(self._key(word)))
        except RuntimeError:
            return None
        return content

    def _key(self, word: str) -> str:
        return f"{self._round} {word}"


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
            f"trainer.num_nodes={nodes} needs MASTER_ADDR and NODE_RANK in the environment, or Slurm: "
            f"srun --nodes={nodes} --ntasks-per-node=1 python pipelines/train.py ..."
        )
    if not (node.isdecimal() and int(node) < nodes):
        raise UserError(
            f"NODE_RANK={node}, expected a number from 0 to {nodes - 1} (trainer.num_nodes={nodes})"
        )
    job = int(environment.get("SLURM_JOB_ID", 0))
    port = environment.get("MASTER_PORT") or str(20_000 + job % 20_000)
    if not (port.isdecimal() and 0 < int(port) < 65_535):
        raise UserError(
            f"MASTER_PORT={port}, expected a number from 1 to 65534; the port after it is used, too"
        )
    return Address(host, int(port), int(node), nodes)


def _first_slurm_host(environment: Mapping[str, str]) -> str | None:
    if "SLURM_JOB_NODELIST" not in environment:
        return None
    command = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
    with contextlib.suppress(
        OSError, IndexError
    ):  # in a container, Slurm's programs may be missing
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
        f"for at most {ARRIVAL.total_seconds():.0f} s",
        flush=True,
    )
    try:
        return TCPStore(host, port, address.nodes, address.node == 0, ARRIVAL)
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"{address.nodes} machines did not meet at {host}:{port} ({reason})"
        ) from None


@cache
def _heartbeat(address: Address) -> Heartbeat:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    own = TCPStore(address.host, address.port + 1, is_master=False, wait_for_workers=False)
    return Heartbeat(own, address.node, address.nodes)

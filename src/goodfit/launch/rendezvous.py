"""Several machines on one training: the first decides, and each learns how the others ended."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from goodfit.errors import LostMachineError, UserError
from goodfit.launch.exchange import MachineExit, RankError
from goodfit.launch.liveness import MACHINE_TIMEOUT, MachineWatch

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

JOIN_TIMEOUT = timedelta(seconds=300)  # in which all machines must have started
EXIT_TIMEOUT = 30.0  # seconds in which a live machine follows one whose ranks have failed
_POLL_SECONDS = 0.2
_TORCH_LOG_LEVEL = "TORCH_CPP_LOG_LEVEL"
SILENT = f"has had no heartbeat for {MACHINE_TIMEOUT:.0f} s"
_DISCONNECTED = "has closed its connection"
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
            LostMachineError: the first machine has gone before it decided.
        """
        if self.address is None:
            return decide()

        store = _store(self.address)
        _watch(self.address).start()
        if self.is_first:
            decision = _decision(decide)
            store.set(self._key("decided"), json.dumps(decision))
            if "error" in decision:  # this process, and the store with it, is about to go
                self._await_others(store, "read")
        else:
            decision = json.loads(self._first_decision(store, self.address.node))
        if "error" in decision:
            raise UserError(decision["error"])
        return decision["value"]

    def lost(self) -> list[int]:
        """The machines without a heartbeat."""
        return _watch(self.address).lost() if self.address else []

    def exchange_exits(self, own: MachineExit) -> list[MachineExit]:
        """How the ranks of each machine ended, this one's first.

        A machine that is lost now is an error of its own, earlier than those that it causes on the
        others. One that was lost before is left out: `own` has that error.
        """
        lost = self.lost()
        # a store whose server is frozen heeds no timeout (decision 0017): it is not asked
        if self.address is None or 0 in lost:
            return [own]
        try:
            return [own, *self._exchange(own, self.address, lost)]
        except RuntimeError:  # the connection broke: the first machine's process is gone
            return [own, self._lost_exit(0, _DISCONNECTED)]

    def _first_decision(self, store: TCPStore, node: int) -> bytes:
        try:
            decision = bytes(store.get(self._key("decided")))
            store.set(self._key(f"read {node}"), "{}")
            return decision
        except RuntimeError:
            raise _first_machine_lost() from None

    def _exchange(
        self, own: MachineExit, address: Address, lost: Sequence[int]
    ) -> list[MachineExit]:
        store = _store(address)
        store.set(self._key(f"ended {address.node}"), json.dumps(own.to_json()))

        # where all went well, rank 0 may still score and write the model, however long that takes
        # (torch.distributed.run waits for it for 300 s): a machine that left would count as lost
        timeout = EXIT_TIMEOUT if own.exit_code else math.inf
        exits = []
        for other in self._others():
            if other in lost:
                continue
            content = self._receive(store, f"ended {other}", other, timeout)
            if content is not None:
                exits.append(MachineExit.of(content, Path("store")))
            elif other in self.lost():
                exits.append(self._lost_exit(other, SILENT))

        _watch(address).stop()
        store.set(self._key(f"left {address.node}"), "{}")
        if self.is_first:  # its process holds the store: the others must have read before it goes
            self._await_others(store, "left")
        return exits

    def _await_others(self, store: TCPStore, key: str) -> None:
        """Until each machine that is not lost has set this key of its own."""
        lost = self.lost()
        for other in self._others():
            if other not in lost:
                self._receive(store, f"{key} {other}", other, EXIT_TIMEOUT)

    def _others(self) -> list[int]:
        assert self.address is not None
        return [node for node in range(self.address.nodes) if node != self.address.node]

    def _receive(
        self, store: TCPStore, key: str, node: int, timeout: float
    ) -> dict[str, Any] | None:
        """What another machine has set, None where it is lost or exceeds `timeout` seconds.

        By polling: torch's own wait would print a page where it ends in vain.
        """
        deadline = time.monotonic() + timeout
        while not store.check([self._key(key)]):
            if time.monotonic() > deadline or node in self.lost():
                return None
            time.sleep(_POLL_SECONDS)
        content: dict[str, Any] = json.loads(store.get(self._key(key)))
        return content

    def _lost_exit(self, node: int, reason: str) -> MachineExit:
        assert self.address is not None
        # what failed since is mostly a consequence, and must count as later
        seconds_ago = _watch(self.address).since_surely_alive(node)
        return MachineExit.of_lost_machine(RankError.of_lost_machine(node, reason, seconds_ago))

    def _key(self, key: str) -> str:
        # the store outlives a round: keys of the one before are still there
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
    host, port = address.host, address.port + 1
    print(
        f"machine {address.node} waits at {host}:{port} for all {address.nodes}, "
        f"for at most {JOIN_TIMEOUT.total_seconds():.0f} s",
        flush=True,
    )
    try:
        return _tcp_store()(host, port, address.nodes, address.node == 0, JOIN_TIMEOUT)
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"{address.nodes} machines did not meet at {host}:{port} ({reason})"
        ) from None


@cache
def _watch(address: Address) -> MachineWatch:
    timeout = timedelta(seconds=MACHINE_TIMEOUT)  # all have met: who is gone will not come back
    try:
        own = _tcp_store()(
            address.host,
            address.port + 1,
            is_master=False,
            timeout=timeout,
            wait_for_workers=False,
        )
    except RuntimeError:
        raise _first_machine_lost() from None
    return MachineWatch(own, address.node, address.nodes)


def _first_machine_lost() -> LostMachineError:
    return LostMachineError(RankError.of_lost_machine(0, _DISCONNECTED).message)


def _tcp_store() -> type[TCPStore]:
    """torch's class, from a torch that logs errors only.

    Of each connection that breaks it would log a page as a warning; the launcher says it in a line.
    torch reads the level when it is imported, and the ranks should not inherit it.
    """
    level = os.environ.get(_TORCH_LOG_LEVEL)
    os.environ.setdefault(_TORCH_LOG_LEVEL, "ERROR")
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    if level is None:
        del os.environ[_TORCH_LOG_LEVEL]
    return TCPStore

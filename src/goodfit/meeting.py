"""Several machines on one training: the first decides for all, and each hears how the others ended."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from goodfit.errors import UserError
from goodfit.pulse import Pulse

if TYPE_CHECKING:
    from torch._C._distributed_c10d import TCPStore

ARRIVAL = timedelta(seconds=300)  # in which all machines must have started
PARTING = timedelta(seconds=30)  # in which a machine that lives says how its workers ended


class Place(NamedTuple):
    """Where the machines meet, and which of them this is."""

    host: str
    port: int
    node: int
    nodes: int


class Meeting:
    """One round of a training on all its machines; a single machine meets nobody, and nothing is imported for it."""

    _rounds = itertools.count()

    def __init__(self, nodes: int) -> None:
        self.place = place(nodes) if nodes > 1 else None
        self._round = next(self._rounds)

    def decided(self, decide: Callable[[], Any]) -> Any:
        """What `decide` gives on the first machine, as JSON has it; its UserError is raised on all of them."""
        if self.place is None:
            return decide()
        store = _store(self.place)
        _pulse(self.place).begin()
        if self.place.node:
            word = json.loads(store.get(self._key("decided")))
        else:
            try:
                word = {"value": decide()}
            except UserError as error:
                word = {"error": str(error)}
            store.set(self._key("decided"), json.dumps(word))
        if "error" in word:
            raise UserError(word["error"])
        return word["value"]

    def lost(self) -> list[int]:
        """The machines that give no sign of life."""
        return _pulse(self.place).lost() if self.place else []

    def ended(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """How the workers of each machine ended, this one's first; a machine that is gone says nothing."""
        lost = self.lost()
        if self.place is None or 0 in lost:
            return [own]
        store = _store(self.place)
        others = [node for node in range(self.place.nodes) if node not in (self.place.node, *lost)]
        store.set(self._key(f"ended {self.place.node}"), json.dumps(own))
        heard = [self._heard(store, f"ended {node}") for node in others]
        _pulse(self.place).end()
        store.set(self._key(f"left {self.place.node}"), "{}")
        if self.place.node == 0:  # whose process is the store's: the others have read before it goes
            for node in others:
                self._heard(store, f"left {node}")
        return [own, *(word for word in heard if word)]

    def _heard(self, store: TCPStore, word: str) -> dict[str, Any]:
        try:
            store.wait([self._key(word)], PARTING)
            found: dict[str, Any] = json.loads(store.get(self._key(word)))
        except RuntimeError:
            return {}
        return found

    def _key(self, word: str) -> str:
        return f"{self._round} {word}"


def place(nodes: int) -> Place:
    """From MASTER_ADDR and NODE_RANK, or from Slurm; raises UserError where neither says it."""
    environment = os.environ
    node = environment.get("NODE_RANK", environment.get("SLURM_NODEID"))
    host = environment.get("MASTER_ADDR")
    if host is None and "SLURM_JOB_NODELIST" in environment:
        asked = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
        with contextlib.suppress(OSError, IndexError):  # in a container, Slurm's programs may be missing
            host = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()[0]
    if node is None or host is None:
        raise UserError(
            f"trainer.num_nodes={nodes} needs MASTER_ADDR and NODE_RANK in the environment, or Slurm: "
            f"srun --nodes={nodes} --ntasks-per-node=1 python pipelines/train.py ..."
        )
    if not (node.isdecimal() and int(node) < nodes):
        raise UserError(f"NODE_RANK={node}, expected a number from 0 to {nodes - 1} (trainer.num_nodes={nodes})")
    port = environment.get("MASTER_PORT") or str(20_000 + int(environment.get("SLURM_JOB_ID", 0)) % 20_000)
    if not (port.isdecimal() and 0 < int(port) < 65_535):
        raise UserError(f"MASTER_PORT={port}, expected a number from 1 to 65534; the port after it is used, too")
    return Place(host, int(port), int(node), nodes)


@cache
def _store(place: Place) -> TCPStore:
    """On the port after that of `torch.distributed.run`; the first machine's process holds it."""
    from torch._C._distributed_c10d import TCPStore

    patience = f"for at most {ARRIVAL.total_seconds():.0f} s"
    print(f"machine {place.node} waits at {place.host}:{place.port + 1} for all {place.nodes}, {patience}", flush=True)
    try:
        return TCPStore(place.host, place.port + 1, place.nodes, place.node == 0, ARRIVAL)
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{place.nodes} machines did not meet at {place.host}:{place.port + 1} ({reason})") from None


@cache
def _pulse(place: Place) -> Pulse:
    from torch._C._distributed_c10d import TCPStore

    own = TCPStore(place.host, place.port + 1, is_master=False, wait_for_workers=False)
    return Pulse(own, place.node, place.nodes)

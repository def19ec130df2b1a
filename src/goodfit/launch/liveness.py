"""Which ranks of this machine, and which other machines of a training, are still alive.

A process that is killed closes its connections, and its partners see that at once. One that is
frozen, and a machine that loses its power, close nothing: torch's collectives wait for half an hour
(decision 0017). So each rank touches a file, each machine counts up in a store, and the others look
whether that goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from goodfit.launch.exchange import RankError
from goodfit.system.files import write_text
from goodfit.system.processes import gone, identity, pid_of

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

# all in seconds
MACHINE_INTERVAL = 1.0  # between two heartbeats of a machine
# without a heartbeat, a machine counts as lost; the ranks of the others then have a few more to end
MACHINE_TIMEOUT = 15.0
RANK_INTERVAL = 0.5  # between two heartbeats of a rank
RANK_TIMEOUT = 20.0  # without a heartbeat, a rank counts as frozen
RANK_GRACE = 8.0  # that a rank has to notice by itself that another one has failed


class MachineWatch:
    """Sends this machine's heartbeats from `start` to `stop`, and receives those of the others.

    `store` is a connection of its own: where the first machine is frozen, an operation on it blocks
    for as long, with whatever lock it holds (with a timeout of 5 s, `get` had not returned after
    90 s: decision 0017).
    """

    def __init__(self, store: TCPStore, node: int, nodes: int) -> None:
        self._store, self._node = store, node
        self._others = [other for other in range(nodes) if other != node]
        self._stopped = threading.Event()
        self._thread = threading.Thread()

    def start(self) -> None:
        """All machines have met: from now on their silence counts."""
        self._store_answered = time.monotonic()
        self._last_heartbeat = dict.fromkeys(self._others, self._store_answered)
        self._last_asked = dict(self._last_heartbeat)
        self._surely_alive = dict(self._last_heartbeat)
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Before the first machine leaves, and the store with it.

        Else torch would print a page about the lost connection.
        """
        self._stopped.set()
        self._thread.join(2 * MACHINE_INTERVAL)

    def lost(self) -> list[int]:
        """The machines without a heartbeat; the first alone where its store does not answer."""
        if self._node and time.monotonic() - self._store_answered > MACHINE_TIMEOUT:
            return [0]  # heartbeats of all others come through it
        return [other for other in self._others if self.silence(other) > MACHINE_TIMEOUT]

    def silence(self, node: int) -> float:
        """Seconds since the last heartbeat of another machine."""
        return time.monotonic() - self._last_heartbeat[node]

    def since_surely_alive(self, node: int) -> float:
        """Seconds since a moment at which another machine was alive.

        Its last heartbeat was sent at some time between two questions: it was alive at the first.
        By the second, which `silence` counts from, it may have gone, and others failed for it.
        """
        return time.monotonic() - self._surely_alive[node]

    def _run(self) -> None:
        counts: dict[int, bytes] = {}
        try:
            for count in itertools.count():
                self._store.set(f"alive {self._node}", str(count))
                for other in self._others:
                    self._receive(other, counts)
                self._store_answered = time.monotonic()
                if self._stopped.wait(MACHINE_INTERVAL):
                    return
        except RuntimeError:  # the connection broke: the first machine's process is gone
            return

    def _receive(self, other: int, counts: dict[int, bytes]) -> None:
        """A machine is alive if its count has changed since it was last read."""
        key = f"alive {other}"
        if not self._store.check([key]):  # `get` would wait for a machine that has sent none yet
            return
        asked = time.monotonic()
        count = self._store.get(key)
        if count != counts.get(other):
            counts[other], self._last_heartbeat[other] = count, asked
            self._surely_alive[other] = self._last_asked[other]
        self._last_asked[other] = asked


class RankWatch:
    """A rank's heartbeat, and its watch over the launcher and the other ranks of this machine.

    A heartbeat is the modification time of a file in the job's folder, which holds the rank's
    identity. The thread that touches it stops only with the whole process, or where a library
    holds Python's lock for long.
    """

    def __init__(self, folder: Path, launcher: str, rank: int) -> None:
        self.folder, self.launcher, self.rank = folder, launcher, rank
        self._heartbeat = folder / f"alive-{rank}"
        # of each rank the last heartbeat, and when it was first seen: by the monotonic clock, which
        # stands still while the machine sleeps
        self._seen: dict[Path, tuple[float, float]] = {}
        self._says_orphaned = threading.Lock()  # held once it has been said

    def start(self) -> None:
        """In a thread that ends with the process."""
        write_text(self._heartbeat, identity())  # whole, for ranks that look meanwhile
        threading.Thread(target=self._run, daemon=True).start()

    def wait_for_rank_zero(self) -> None:
        """Until rank 0 has left its error, for at most RANK_GRACE.

        It may wait at a barrier that this rank has passed: a connection that closes would be an
        error there.
        """
        deadline = time.monotonic() + RANK_GRACE
        first = RankError.path(self.folder, 0)
        while time.monotonic() < deadline and not first.exists():
            time.sleep(0.1)

    def report_if_orphaned(self) -> None:
        """Rank 0 says once that the launcher is gone.

        Also where it ends before its watch has looked: another rank saw it first, and all stop
        together.
        """
        if self.rank == 0 and gone(self.launcher) and self._says_orphaned.acquire(blocking=False):
            print(
                "goodfit: the process that began this training is gone: stopping",
                file=sys.stderr,
                flush=True,
            )

    def kill_frozen(self) -> None:
        """Kills each rank of this machine that lives, but has had no heartbeat for RANK_TIMEOUT.

        It can report nothing, and all others would wait for it.

        Raises:
            FileNotFoundError: another rank killed it first, or the launcher has cleared up.
        """
        for path in self.folder.glob("alive-*"):
            heartbeat, now = path.stat().st_mtime, time.monotonic()
            last, since = self._seen.get(path, (None, now))
            if heartbeat != last:
                self._seen[path] = (heartbeat, now)
            elif now - since > RANK_TIMEOUT:
                self._kill(path)

    def _run(self) -> None:
        """Ends this process if the launcher, a machine or another rank is gone.

        By `os._exit`: the main thread may be in a collective that no exception reaches.
        """
        while True:
            time.sleep(RANK_INTERVAL)
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._heartbeat)
                self.kill_frozen()

            if RankError.path(self.folder, None).exists():
                os._exit(1)  # the ranks of a lost machine close no connection: wait for nothing
            orphaned = gone(self.launcher)
            if orphaned:
                self._stop_as_orphan()
            if orphaned or self._other_failed():
                time.sleep(RANK_GRACE)
                os._exit(1)

    def _stop_as_orphan(self) -> None:
        self.report_if_orphaned()
        os.kill(os.getpid(), signal.SIGTERM)

    def _other_failed(self) -> bool:
        own = RankError.path(self.folder, self.rank)
        return any(path != own for path in self.folder.glob("error-*.json"))

    @staticmethod
    def _kill(heartbeat: Path) -> None:
        process = heartbeat.read_text()
        heartbeat.unlink()  # by one rank only: the others print nothing
        # all but rank 0 end before it scores and writes the model; their ids may be used again
        if gone(process):
            return

        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_of(process), signal.SIGKILL)
        rank = heartbeat.name.removeprefix("alive-")
        print(
            f"goodfit: rank {rank} has had no heartbeat for {RANK_TIMEOUT:.0f} s",
            file=sys.stderr,
            flush=True,
        )

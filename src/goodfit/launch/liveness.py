"""Who takes part in a training, and is no longer alive: ranks of this machine, and other machines.

A process that is killed closes its connections, and its partners see that at once. One that is
frozen, and a machine that loses its power, close nothing: torch's collectives wait for half an hour
(decision 0017).
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
from goodfit.system.processes import gone

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

BEAT = 1.0  # seconds between two heartbeats of a machine
# seconds after which a machine counts as lost; its ranks' partners then have a few more to end
SILENCE = 15.0
_TOUCH = 0.5  # seconds between two heartbeats of a rank, from a thread that no work holds up
_FROZEN = 20.0  # seconds without one after which a rank counts as frozen
LAST_WORDS = 8.0  # seconds that a rank has to notice by itself that another one has failed


class Heartbeat:
    """Beats for this machine from `begin` to `end`, if the process lives, and hears the others.

    `store` is a connection of its own: an operation on it may block for ever, with whatever lock it
    holds.
    """

    def __init__(self, store: TCPStore, node: int, nodes: int) -> None:
        self._store, self._node = store, node
        self._others = [other for other in range(nodes) if other != node]
        self._over = threading.Event()
        self._thread = threading.Thread()

    def begin(self) -> None:
        """All machines are there, and live."""
        self._answered = time.monotonic()
        self._last_heard = dict.fromkeys(self._others, self._answered)
        self._over.clear()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Before the first machine leaves, and the store with it: torch would tell of the lost
        connection.
        """
        self._over.set()
        self._thread.join(2 * BEAT)

    def lost(self) -> list[int]:
        """The machines that are silent; the first alone where it does not answer, for all speak
        through it.
        """
        now = time.monotonic()
        if self._node and now - self._answered > SILENCE:
            return [0]
        return [node for node, heard in self._last_heard.items() if now - heard > SILENCE]

    def _beat(self) -> None:
        counts: dict[int, bytes] = {}
        try:
            for count in itertools.count():
                self._store.set(f"alive {self._node}", str(count))
                for other in self._others:
                    self._listen(other, counts)
                self._answered = time.monotonic()
                if self._over.wait(BEAT):
                    return
        except RuntimeError:  # the connection broke: the first machine's process is gone
            return

    def _listen(self, other: int, counts: dict[int, bytes]) -> None:
        """A machine lives whose count has changed since it was last read."""
        key = f"alive {other}"
        if not self._store.check([key]):
            return
        count = self._store.get(key)
        if count != counts.get(other):
            counts[other], self._last_heard[other] = count, time.monotonic()


class RankWatch:
    """A rank's heartbeat in the job's folder, and its eye on the launcher and on the others of this
    machine.
    """

    def __init__(self, folder: Path, launcher: str, rank: int) -> None:
        self.folder, self.launcher, self.rank = folder, launcher, rank
        self._heartbeat = folder / f"alive-{rank}"
        # each rank's last heartbeat, and when it was seen, by a clock that sleeps when the machine
        # does
        self._seen: dict[Path, tuple[float, float]] = {}

    def start(self) -> None:
        """In a thread that ends with the process."""
        self._heartbeat.write_text(str(os.getpid()))
        threading.Thread(target=self._watch, daemon=True).start()

    def wait_for_first(self) -> None:
        """Rank 0 may wait at a barrier that this rank has passed: a connection that closes would be
        an error there.
        """
        deadline = time.monotonic() + LAST_WORDS
        first = RankError.path(self.folder, 0)
        while time.monotonic() < deadline and not first.exists():
            time.sleep(0.1)

    def _watch(self) -> None:
        """Ends this process when the launcher is gone, or when it waits in vain for a rank that has
        failed.
        """
        while True:
            time.sleep(_TOUCH)
            with contextlib.suppress(FileNotFoundError):  # the launcher has cleared up
                os.utime(self._heartbeat)
                self._kill_frozen()
            orphaned = gone(self.launcher)
            if orphaned:
                self._stop_as_orphan()
            if orphaned or self._other_failed():
                time.sleep(LAST_WORDS)
                os._exit(1)

    def _stop_as_orphan(self) -> None:
        if self.rank == 0:
            print(
                "goodfit: the process that began this training is gone: stopping",
                file=sys.stderr,
                flush=True,
            )
        os.kill(os.getpid(), signal.SIGTERM)

    def _other_failed(self) -> bool:
        own = RankError.path(self.folder, self.rank)
        return any(path != own for path in self.folder.glob("error-*.json"))

    def _kill_frozen(self) -> None:
        """Kills each rank of this machine without a heartbeat: it can say nothing, and all would
        wait for it.
        """
        for path in self.folder.glob("alive-*"):
            beat, now = path.stat().st_mtime, time.monotonic()
            last_beat, seen = self._seen.get(path, (None, now))
            if beat != last_beat:
                self._seen[path] = (beat, now)
            elif now - seen > _FROZEN:
                self._kill(path)
                self._seen[path] = (beat, now)

    @staticmethod
    def _kill(heartbeat: Path) -> None:
        rank = heartbeat.name.removeprefix("alive-")
        print(f"goodfit: rank {rank} has had no heartbeat for {_FROZEN:.0f} s", file=sys.stderr)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(heartbeat.read_text()), signal.SIGKILL)

"""Signs of life between machines: one that loses its power closes no connection, and torch waits for half an hour."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch._C._distributed_c10d import TCPStore

BEAT = 1.0  # seconds between two signs
SILENCE = 15.0  # seconds after which a machine counts as lost; its ranks' partners then have a few more to end


class Pulse:
    """Beats for this machine from `begin` to `end`, if the process lives, and hears the others.

    `store` is a connection of its own: an operation on it may block for ever, with whatever lock it holds.
    """

    def __init__(self, store: TCPStore, node: int, nodes: int) -> None:
        self._store, self._node = store, node
        self._others = [other for other in range(nodes) if other != node]
        self._over = threading.Event()
        self._thread = threading.Thread()

    def begin(self) -> None:
        """All machines are there, and live."""
        self._answered = time.monotonic()
        self._heard = dict.fromkeys(self._others, self._answered)
        self._over.clear()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Before the first machine leaves, and the store with it: torch would tell the user of the lost connection."""
        self._over.set()
        self._thread.join(2 * BEAT)

    def lost(self) -> list[int]:
        """The machines that are silent; the first alone where it does not answer, for the others speak through it."""
        now = time.monotonic()
        if self._node and now - self._answered > SILENCE:
            return [0]
        return [node for node, last in self._heard.items() if now - last > SILENCE]

    def _beat(self) -> None:
        words: dict[int, bytes] = {}
        try:
            for count in itertools.count():
                self._store.set(f"alive {self._node}", str(count))
                for other in self._heard:
                    key = f"alive {other}"
                    if self._store.check([key]) and (word := self._store.get(key)) != words.get(other):
                        words[other], self._heard[other] = word, time.monotonic()
                self._answered = time.monotonic()
                if self._over.wait(BEAT):
                    return
        except RuntimeError:  # the connection broke: the first machine's process is gone
            return

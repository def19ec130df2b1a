"""All ranks of a training do after the same step what any of them wants."""

from __future__ import annotations

import time

import torch
import torch.distributed as dist

SECONDS = 1.0  # between two agreements: a signal may wait as long
MAX_STEPS = 1000  # between two agreements, however short a step is


class Agreement:
    """The ranks exchange what they want about once a second, after a step that all of them know.

    An exchange in each step, and the wait for its answer, would stand in the way of a GPU's queue.
    No clock decides on one rank alone: each agreement also sets the number of steps to the next.
    """

    def __init__(self) -> None:
        self.interval = 1  # steps from the last agreement to the next
        self._steps = 0  # since the last agreement
        self._reached = time.monotonic()

    def count_step(self) -> None:
        """Another step is over; called on every rank after every step."""
        self._steps += 1

    def is_due(self) -> bool:
        """Whether the ranks agree after this step: a matter of counting, so the same on all."""
        return self._steps >= self.interval

    def reach(self, save: bool, stop: int, device: torch.device) -> tuple[bool, int]:
        """What any rank wants: whether to save, and the signal that asks to stop, 0 for none.

        A collective call: it waits until every rank has made it. `device` is where the process
        group exchanges tensors. The slowest rank's steps set the next interval.
        """
        seconds = (time.monotonic() - self._reached) / max(self._steps, 1)
        wanted = torch.tensor([float(save), float(stop), seconds], device=device)
        dist.all_reduce(wanted, dist.ReduceOp.MAX)
        any_save, any_stop, slowest = wanted.tolist()

        steps = int(SECONDS / max(slowest, 1e-9))
        self.interval = min(max(steps, 1), MAX_STEPS)
        self._steps = 0
        self._reached = time.monotonic()
        return bool(any_save), int(any_stop)

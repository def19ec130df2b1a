"""Lines of a pass over samples, for whoever waits for one that takes long."""

from __future__ import annotations

import time
from typing import TextIO

from goodfit.system import units

SECONDS_BEFORE_FIRST_LINE = 2.0  # what is done sooner prints nothing
SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Prints how many samples of a pass are done, and how long the others will take.

    `doing` names the pass, `what` one of what it counts, `samples` how many there are, None where
    nobody knows, `before` how many of them were done when it began. Its first line comes after two
    seconds, the others ten or more apart.
    """

    def __init__(
        self,
        doing: str,
        samples: int | None,
        what: str = "sample",
        stream: TextIO | None = None,
        before: int = 0,
    ) -> None:
        self.doing, self.samples, self.what = doing, samples, what
        self.stream, self.before = stream, before
        self._started = time.monotonic()
        self._next_line = self._started + SECONDS_BEFORE_FIRST_LINE

    def show(self, done: int) -> None:
        """A line where it is time for one; `done` counts all samples, with those before."""
        now = time.monotonic()
        if now < self._next_line or not done or done == self.samples:
            return

        said = units.counted(done, self.what)
        if self.samples is not None:
            each = (now - self._started) / max(done - self.before, 1)
            left = units.remaining(each * (self.samples - done))
            said = f"{done:,} of {units.counted(self.samples, self.what)}, {left} left"
        # flushed, for a pipe would hold lines back until it has a block of them
        print(f"{self.doing}: {said}", file=self.stream, flush=True)
        self._next_line = now + SECONDS_BETWEEN_LINES

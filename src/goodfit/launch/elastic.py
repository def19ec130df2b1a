"""`torch.distributed.run` without its page about a failed child.

The launcher says in a line what happened.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from goodfit.launch.exchange import KilledRanks


def main(job: Path, arguments: Sequence[str]) -> int:
    """Starts the ranks, waits for them, and gives the exit code.

    Beside the file `job` it leaves which ranks were killed, if any rank failed.
    """
    logging.disable(logging.CRITICAL)  # ranks are processes of their own, and log as they like
    try:
        run(parse_args(arguments))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        signals = {}
        for rank, failure in error.failures.items():
            if failure.exitcode < 0:  # minus the number of the signal that ended it
                signals[str(rank)] = signal.Signals(-failure.exitcode).name
        KilledRanks(signals=signals).write(KilledRanks.path(job.parent))
        return 1
    except SignalException as stop:
        return 128 + stop.sigval
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[-1]), sys.argv[1:]))

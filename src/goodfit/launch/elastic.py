"""`torch.distributed.run` without its page about a failed child: the launcher says what happened,
in a line.
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

from goodfit.launch.exchange import Killed


def main(job: Path, arguments: Sequence[str]) -> int:
    """Starts the ranks and waits for them; notes beside the job which were killed, and gives the
    exit code.
    """
    logging.disable(logging.CRITICAL)
    try:
        run(parse_args(arguments))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        killed = {}
        for rank, failure in error.failures.items():
            if failure.exitcode < 0:
                killed[str(rank)] = signal.Signals(-failure.exitcode).name
        Killed(ranks=killed).write(job.parent / "killed.json")
        return 1
    except SignalException as stop:
        return 128 + stop.sigval
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[-1]), sys.argv[1:]))

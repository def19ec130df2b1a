"""`torch.distributed.run` without its page about a failed child: the launcher tells what happened, in a line."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from goodfit.files import write_json


def main(job: Path, arguments: list[str]) -> int:
    """Starts the workers and waits for them; notes beside the job who was killed, and gives the exit code."""
    logging.disable(logging.CRITICAL)
    try:
        run(parse_args(arguments))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        killed = {rank: -failure.exitcode for rank, failure in error.failures.items() if failure.exitcode < 0}
        write_json(
            job.parent / "killed.json", {str(rank): signal.Signals(number).name for rank, number in killed.items()}
        )
        return 1
    except SignalException as stop:
        return 128 + stop.sigval
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[-1]), sys.argv[1:]))

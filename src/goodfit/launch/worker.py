"""One rank of a training: reads its job, trains, leaves its result or its error in the job's
folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import OmegaConf

from goodfit.launch import devices
from goodfit.launch.exchange import RankError, RankJob, exit_code
from goodfit.launch.liveness import RankWatch
from goodfit.records import Trained
from goodfit.system import signals


def main(path: Path) -> None:
    """Runs the job; the exit code is that of `cli.guarded`."""
    signals.exit_on_signals()
    job, folder, rank = RankJob.read(path), path.parent, devices.ranks().rank
    watch = RankWatch(folder, job.launcher, rank)
    watch.start()
    try:
        result = _train(job)
    except BaseException as error:
        RankError.of_exception(rank, error).write(RankError.path(folder, rank))
        if rank and isinstance(error, SystemExit):
            watch.wait_for_first()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code(error))  # destructors of a broken process group wait for the others
    if result:
        result.write(folder / "result.json")


def _train(job: RankJob) -> Trained | None:
    from goodfit.launch import session  # after the watch has begun: importing torch takes seconds

    cfg = OmegaConf.create(job.config)
    if cfg.trainer.accelerator == "cpu":
        _join_on_cpu()
    return session.work(cfg, job.job, job.micro_batches, job.plan)


def _join_on_cpu() -> None:
    """The process group, which Lightning would make later: gloo's threads must be free to go to any
    core.

    Pinned to the core of its rank, a thread that brings an answer waits there for the step of which
    it is a part: an exchange takes 1.4 ms amid computing, and so 0.4 (two ranks, a core each).
    """
    from torch.distributed import init_process_group

    init_process_group("gloo")
    devices.pin_to_cores()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

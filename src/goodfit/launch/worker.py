"""One rank of a training: reads its job, trains, leaves its result or error in the job's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import OmegaConf

from goodfit.launch import devices
from goodfit.launch.exchange import RankError, RankJob, exit_code
from goodfit.launch.liveness import RankWatch
from goodfit.records import Trained
from goodfit.system import allocator, signals


def main(path: Path) -> None:
    """Runs the job in the file `path`; the launcher raises again what it raises."""
    signals.exit_on_signals()
    allocator.spare_imports()
    job, folder, rank = RankJob.read(path), path.parent, devices.ranks().rank
    watch = RankWatch(folder, job.launcher, rank)
    watch.start()
    try:
        result = _train(job)
    except BaseException as error:
        if path.exists():  # else the launcher has cleared up, and nobody would read it
            RankError.of_exception(rank, error).write(RankError.path(folder, rank))
        if rank and isinstance(error, SystemExit):
            watch.wait_for_rank_zero()
        watch.report_if_orphaned()
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
    return session.train(cfg, job.job, job.micro_batches, job.plan)


def _join_on_cpu() -> None:
    """Joins the process group before the rank is pinned to its cores.

    Lightning would join later. gloo's threads must be free to go to any core: pinned to those of
    its rank, a thread that brings a message waits there for the step that computes. Amid computing
    an exchange then takes 1.4 ms, and 0.4 with free threads (two ranks, a core each).
    """
    from torch.distributed import init_process_group

    init_process_group("gloo")
    devices.pin_to_cores()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""One of several processes of a training: reads its job, trains, leaves its result or its error in the job's folder."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from goodfit import devices, stop
from goodfit.errors import OutOfMemory
from goodfit.files import read_json, write_json
from goodfit.process import gone

_FROZEN = 20.0  # seconds; signs of life come every half second, from a thread that no work holds up
_LAST_WORDS = 8.0  # seconds that a rank has to notice by itself that another one has failed


def main(path: Path) -> None:
    """Runs the job; the exit code is that of `cli.guarded`."""
    stop.on_signals()
    job, rank = read_json(path), devices.ranks().rank
    threading.Thread(target=_watch, args=(path.parent, job["by"], rank), daemon=True).start()
    try:
        result = _train(job)
    except BaseException as error:
        _note(path.parent, rank, error)
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        if rank and isinstance(error, SystemExit):
            _let_first_leave(path.parent)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # destructors of a broken process group wait for the others
    if os.environ["LOCAL_RANK"] == "0":  # the first of each machine
        write_json(path.parent / "result.json", result)


def _train(job: dict[str, Any]) -> dict[str, Any]:
    from goodfit import resume, train

    cfg = OmegaConf.create(job["config"])
    if cfg.trainer.accelerator == "cpu":
        _meet()
    plan = resume.read(job["plan"]) if job["plan"] else None
    trained = train.work(cfg, job["job"], job["parts"], plan)
    return {**asdict(trained), "folder": str(trained.folder or "")}


def _meet() -> None:
    """The process group, which Lightning would make after `settle`: gloo's threads must be free to go to any core.

    Kept to the core of its rank, a thread that brings an answer waits there for the step of which it is a part: an
    exchange takes 1.4 ms amid computing, and so 0.4 (two ranks, a core each).
    """
    from torch.distributed import init_process_group

    init_process_group("gloo")
    devices.settle()


def _note(folder: Path, rank: int, error: BaseException) -> None:
    facts = {
        "when": time.time(),
        "rank": rank,
        "kind": type(error).__name__,
        "message": str(error),
        "code": getattr(error, "code", 1),
        "parts": error.parts if isinstance(error, OutOfMemory) else 0,
        "traceback": "".join(traceback.format_exception(error)),
    }
    write_json(folder / f"error-{rank}.json", facts)


def _let_first_leave(folder: Path) -> None:
    """Rank 0 may wait at a barrier that this rank has passed: a connection that closes would be an error there."""
    deadline = time.monotonic() + _LAST_WORDS
    while time.monotonic() < deadline and not (folder / "error-0.json").exists():
        time.sleep(0.1)


def _watch(folder: Path, launcher: str, rank: int) -> None:
    """Ends this process when the launcher is gone, or another rank has failed and this one waits for it in vain.

    One that is frozen can say nothing, and the others would wait for half an hour: it is killed.
    """
    sign = folder / f"alive-{rank}"
    sign.write_text(str(os.getpid()))
    seen: dict[Path, tuple[float, float]] = {}  # each one's last sign, and when it came, by a clock that sleeps with us
    while True:
        time.sleep(0.5)
        with contextlib.suppress(FileNotFoundError):  # the launcher has cleared up
            os.utime(sign)
            _end_frozen(folder, seen)
        alone = gone(launcher)
        if alone:
            if not rank:
                print("goodfit: the process that began this training is gone: stopping", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
        if alone or any(path.name != f"error-{rank}.json" for path in folder.glob("error-*.json")):
            time.sleep(_LAST_WORDS)
            os._exit(1)


def _end_frozen(folder: Path, seen: dict[Path, tuple[float, float]]) -> None:
    """Kills each rank of this machine whose sign of life is `_FROZEN` seconds old."""
    for path in folder.glob("alive-*"):
        last, now = path.stat().st_mtime, time.monotonic()
        if path not in seen or seen[path][0] != last:
            seen[path] = (last, now)
        elif now - seen[path][1] > _FROZEN:
            print(f"goodfit: rank {path.name[6:]} has given no sign of life for {_FROZEN:.0f} s", file=sys.stderr)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)
            seen[path] = (last, now)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

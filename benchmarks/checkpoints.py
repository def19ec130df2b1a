"""What it costs that a training can be cut anywhere and goes on: its checkpoints."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from benchmarks.measure import Result, Turns, Unit, smallest, timed
from goodfit.training.checkpoint import AtomicCheckpoints
from goodfit.training.checkpoint_files import verified

PROTOCOL = """\
checkpoints 100 MB of weights, saved and loaded by ours (synced to the disk, hashed, verified when
          loaded) and by Lightning's own way (neither synced nor hashed). Before each turn the disk
          is given time to write what the turn before has left; the goal is for saving, by the
          clock. Equal: every tensor that comes back.
"""


def checkpoints(turns: int) -> list[Result]:
    """Saving and loading, atomic and verified, against Lightning's own way."""
    weights = {f"layer{number}": torch.randn(1024, 1024) for number in range(25)}
    progress = {"epoch_loop.batch_progress": {"is_last_batch": False}}
    content: dict[str, Any] = {
        "epoch": 0,
        "global_step": 1,
        "loops": {"fit_loop": progress},
        "callbacks": {},
        "state_dict": weights,
    }
    ours, plain = Path("ours.ckpt"), Path("plain.ckpt")
    saved: tuple[Turns, Turns] = ([], [])
    loaded: tuple[Turns, Turns] = ([], [])
    for turn in range(turns + 1):
        for side, (way, path) in enumerate(
            [(AtomicCheckpoints(), ours), (TorchCheckpointIO(), plain)]
        ):
            os.sync()
            _, save = timed(partial(way.save_checkpoint, content, path))
            back, load = timed(partial(way.load_checkpoint, path, weights_only=True))
            assert all(torch.equal(back["state_dict"][name], weights[name]) for name in weights)
            assert path == plain or verified(path)
            path.unlink()
            if turn:  # the first is for imports and memory
                saved[side].append(save)
                loaded[side].append(load)

    save_ms = [1e3 * smallest(side, "wall") for side in saved]
    load_ms = [1e3 * smallest(side, "wall") for side in loaded]
    print(
        f"checkpoints: saved in {save_ms[0]:.0f} and {save_ms[1]:.0f} ms, "
        f"loaded in {load_ms[0]:.0f} and {load_ms[1]:.0f} ms",
        flush=True,
    )
    ms = Unit("ms", 1e3)
    return [
        Result("100 MB saved", *saved, 1.3, ms, "every tensor", clock="wall"),
        Result("100 MB loaded", *loaded, None, ms, "every tensor", clock="wall"),
    ]

"""What it costs that a training can be cut anywhere and goes on: its checkpoints, and its order of
samples.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor
from torch.utils.data import BatchSampler, RandomSampler

from benchmarks import made
from benchmarks.measure import Result, Stopwatch, Turns
from goodfit.contract import Batch
from goodfit.paths import Paths
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches
from goodfit.training.checkpoint import AtomicCheckpoints
from goodfit.training.checkpoint_files import verified

PROTOCOL = """\
checkpoints 100 MB of weights, saved and loaded by ours (synced to the disk, hashed, verified when loaded) and by
          Lightning's own way (neither synced nor hashed). Before each turn the disk is given time to write what the
          turn before has left; the goal is for saving, by the clock. Equal: every tensor that comes back.
sampler   An epoch of 60,000 images of 28 x 28 bytes in batches of 64, in the order that can be entered anywhere,
          against torch's RandomSampler and BatchSampler with the same gathering. Equal: every batch, also after a cut.
"""


def checkpoints(turns: int) -> list[Result]:
    """Saving and loading, atomic and verified, against Lightning's own way."""
    weights = {f"layer{place}": torch.randn(1024, 1024) for place in range(25)}
    progress = {"epoch_loop.batch_progress": {"is_last_batch": False}}
    content = {
        "epoch": 0,
        "global_step": 1,
        "loops": {"fit_loop": progress},
        "callbacks": {},
        "state_dict": weights,
    }
    ways: list[tuple[Any, Path]] = [
        (AtomicCheckpoints(), Path("ours.ckpt")),
        (TorchCheckpointIO(), Path("plain.ckpt")),
    ]
    saved: tuple[Turns, Turns] = ([], [])
    loaded: tuple[Turns, Turns] = ([], [])
    for turn in range(turns + 1):
        for side, (way, path) in enumerate(ways):
            os.sync()
            _, save = timed(partial(way.save_checkpoint, content, path))
            found, load = timed(partial(way.load_checkpoint, path, weights_only=True))
            assert all(torch.equal(found["state_dict"][name], weights[name]) for name in weights)
            assert side or verified(path)
            path.unlink()
            if turn:  # the first is for imports and memory
                saved[side].append(save)
                loaded[side].append(load)
    best = [1e3 * min(turn[1] for turn in side) for side in (*saved, *loaded)]
    print(
        "checkpoints: saved in {:.0f} and {:.0f} ms, loaded in {:.0f} and {:.0f} ms".format(*best),
        flush=True,
    )
    return [
        Result("100 MB saved", *saved, 1.3, ("ms", 1e3), "every tensor", clock=1),
        Result("100 MB loaded", *loaded, None, ("ms", 1e3), "every tensor", clock=1),
    ]


def timed(action: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What it gave, and its seconds of CPU and wall."""
    watch = Stopwatch()
    with watch.running():
        found = action()
    return found, (watch.cpu, watch.wall)


def sampler(turns: int) -> Result:
    """An epoch in an order that can be entered anywhere, against one in torch's own."""
    count, size, folder = 60_000, 64, Paths("sampler").prepared
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8)
    made.pack(folder, {"image": images}, np.arange(count) % 10, 10, count, {})
    data = Packed(folder, "train")

    def ours(begin: int = 0) -> Iterator[Batch]:
        return iter(Batches(data, size, seed=0, epoch=lambda: 0, begin=lambda: begin))

    def plain() -> Iterator[Batch]:
        order = RandomSampler(range(count), generator=torch.Generator().manual_seed(0))
        return (
            data.batch(torch.tensor(rows)) for rows in BatchSampler(order, size, drop_last=False)
        )

    assert all(_same(*pair) for pair in zip(ours(), plain(), strict=True))
    whole = [batch.rows for batch in ours()]
    for begin in (1, len(whole) // 2, len(whole) - 1):
        rest = [batch.rows for batch in ours(begin)]
        assert all(torch.equal(*pair) for pair in zip(rest, whole[begin:], strict=True))
    turned: tuple[Turns, Turns] = ([], [])
    for _ in range(turns):
        for side, epoch in enumerate((ours, plain)):
            turned[side].append(timed(partial(deque, epoch(), maxlen=0))[1])
    best = [1e3 * min(turn[0] for turn in side) for side in turned]
    print(f"sampler: {best[0]:.1f} and {best[1]:.1f} ms an epoch", flush=True)
    return Result("order of samples", *turned, 1.05, ("ms an epoch", 1e3), "every batch")


def _same(one: Batch, other: Batch) -> bool:
    pairs: list[tuple[Tensor, Tensor]] = [
        (one.inputs["image"], other.inputs["image"]),
        (one.target, other.target),
    ]
    return all(torch.equal(*pair) for pair in pairs)

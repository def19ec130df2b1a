"""What our way costs beside the plainest way to the same result: `make bench` prints ratios,
measured in one run.

Both ways take turns, so that other work on the machine slows both alike. A ratio below 1 means that
ours is faster. Data are made here and every file lies in a temporary folder: nothing is fetched,
nothing is kept.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
import yaml
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks import checkpoints, devices, made, sweeps
from benchmarks.measure import Result, Stopwatch, Turns, shown
from goodfit import build
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.contract import DataSpec
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.schedule.cosine import cosine
from goodfit.stages.compose import write_composed
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches
from goodfit.tracking import runs

PROTOCOL = """\
Ours and plain in turns; the ratio is the smallest of ours by the smallest of plain, and in brackets the median of the
ratios of neighbours. CPU is the time of all threads of the process, wall what a clock shows.
training  From Trainer.fit's first line to its last and the sending of metrics to MLflow (sqlite), with validation,
          early stopping, augmentation, clipping, schedule and checkpoints, against a loop of 30 lines that sees the
          same batches. Equal: the largest difference between the weights that both keep.
batches   An epoch of 20,000 images, 3 x 32 x 32 bytes, in batches of 128, from a memory map. Equal: every batch.
no-op     `dvc repro` with nothing to do, in a copy of dvc.yaml whose outputs are empty files, against as many
          stages `echo` with an output each. Equal: both say that nothing changed.
"""


def bench(names: Sequence[str]) -> None:
    """Runs the comparisons of these names and prints their tables; all take about a quarter of an
    hour on two cores.
    """
    root = Path.cwd()
    texts = (checkpoints.PROTOCOL, devices.PROTOCOL, sweeps.PROTOCOL)
    print(PROTOCOL + "".join(texts), flush=True)
    plain: dict[str, Callable[[], list[Result]]] = {
        "cnn": lambda: [
            training("training, CNN", root, 1.1, 3, made.images, ["experiment=mnist", *_CNN])
        ],
        "mlp": lambda: [
            training("training, MLP", root, 2.0, 5, made.table, ["experiment=breast_cancer", *_MLP])
        ],
        "batches": lambda: [batches(5)],
        "no-op": lambda: [nothing_to_do(root, 3)],
        "checkpoints": lambda: checkpoints.checkpoints(10),
        "sampler": lambda: [checkpoints.sampler(20)],
    }
    tables: list[Table | str] = []
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        if results := [result for name in names if name in plain for result in plain[name]()]:
            tables.append(shown(results))
        if "devices" in names:
            tables.append(devices.shown(devices.devices(root, 3)))
        if "gpu" in names:
            tables.append(devices.told(devices.gpu(root)))
        if "sweeps" in names:
            tables.append(sweeps.shown(*sweeps.bench(root, 3)))
    for table in tables:
        Console(width=120).print(table)  # piped, the width would be 80, and the rows would break


_CNN = [
    "trainer.max_epochs=8"
]  # what a run costs once, such as its first checkpoint, weighs as in a real one
_MLP = ["model.width=64", "loader.batch_size=128", "trainer.max_epochs=3"]


def training(
    name: str,
    root: Path,
    goal: float,
    turns: int,
    make: Callable[[Path, made.Made], None],
    overrides: list[str],
) -> Result:
    """A tracked training by `fit` against a loop by hand; AssertionError unless both keep the same
    weights.
    """
    fixed = ["trainer=cpu", "early_stopping.patience=99", "tracking.uri='sqlite:///mlflow.db'"]
    cfg = compose(root, [*overrides, *fixed])
    folder = Paths(cfg.name).prepared
    make(folder, tree.data_section(cfg))
    tracked(cfg)  # imports MLflow, makes its database
    ours: Turns = []
    plain: Turns = []
    apart, steps = 0.0, 1
    for turn in range(turns):
        watch, kept, steps = tracked(cfg)
        by_hand = Stopwatch()
        with by_hand.running():
            loss, weights = loop(cfg, folder)
        ours.append((watch.cpu, watch.wall))
        plain.append((by_hand.cpu, by_hand.wall))
        apart = max(
            [
                apart,
                *(float((kept[key].float() - weights[key].float()).abs().max()) for key in kept),
            ]
        )
        assert apart < 1e-5, f"{name}: the weights differ by {apart}"
        print(
            f"{name} {turn + 1}/{turns}: {watch.wall:.1f} s and {by_hand.wall:.1f} s, val/loss {loss:.5f}",
            flush=True,
        )
    return Result(
        name, ours, plain, goal, ("ms a step", 1e3 / steps), f"weights differ by {apart:.0e}"
    )


def tracked(cfg: DictConfig) -> tuple[Stopwatch, dict[str, Tensor], int]:
    """`fit`, with the time of its training alone, the weights it keeps, and its number of steps."""
    watch = Stopwatch()
    counted_fit = patch.object(pl.Trainer, "fit", watch.around(pl.Trainer.fit))
    counted_flush = patch.object(runs.Run, "flush", watch.around(runs.Run.flush))
    with counted_fit, counted_flush, contextlib.redirect_stdout(io.StringIO()):
        trained = fit(cfg)
    assert trained is not None
    folder = trained.folder
    assert folder is not None
    steps = yaml.safe_load((folder / "train.json").read_text())["steps"]
    return watch, torch.load(folder / "weights.pt", weights_only=True), steps


def loop(cfg: DictConfig, folder: Path) -> tuple[float, dict[str, Tensor]]:
    """The training as one would write it without a framework: the best validation loss and its
    weights.
    """
    torch.manual_seed(cfg.seed)
    train, validation = Packed(folder, "train"), Packed(folder, "validation")
    model: nn.Module = build.task(cfg, DataSpec.read(folder / "spec.json")).model
    options = {
        key: value
        for key, value in cfg.optimizer.items()
        if key != "_partial_" and key != "_target_"
    }
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    size, epochs = cfg.loader.batch_size, cfg.trainer.max_epochs
    schedule = cosine(
        optimizer, total_steps=-(-len(train) // size) * epochs, warmup=cfg.schedule.warmup
    )
    augment, generator = build.augment(cfg), torch.Generator()
    best, weights = float("inf"), {}
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(
            len(train), generator=generator.manual_seed(cfg.seed * 1_000_003 + epoch)
        )
        for step, rows in enumerate(torch.split(order, size)):
            torch.manual_seed(((cfg.seed * 1_000_003 + epoch) * 1_000_003 + step) * 1_009)
            batch = augment(train.batch(rows), PerSampleRandom(rows, seed=cfg.seed, epoch=epoch))
            output = model(**batch.inputs)
            loss = F.cross_entropy(output, batch.target, label_smoothing=cfg.task.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), cfg.trainer.gradient_clip_val)
            optimizer.step()
            schedule.step()
        found, _accuracy = scores(model, validation, 4 * size)
        if found < best:
            best, weights = found, {key: value.clone() for key, value in model.state_dict().items()}
            torch.save(weights, "loop.pt")
    return best, weights


@torch.no_grad()
def scores(model: nn.Module, data: Packed, size: int) -> tuple[float, float]:
    """Mean loss and accuracy of the whole split."""
    model.eval()
    loss, right = 0.0, 0
    for rows in torch.split(torch.arange(len(data)), size):
        batch = data.batch(rows)
        output = model(**batch.inputs)
        loss += float(F.cross_entropy(output, batch.target)) * len(rows)
        right += int((output.argmax(1) == batch.target).sum())
    return loss / len(data), right / len(data)


class _Samples(Dataset[tuple[Tensor, Tensor]]):
    """One sample after the other, as tutorials write it."""

    def __init__(self, data: Packed) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.data.inputs["image"][row], self.data.target[row]


def batches(turns: int) -> Result:
    """An epoch of our batches against torch's DataLoader over a Dataset, in the same shuffled
    order.
    """
    count, size, folder = 20_000, 128, Paths("bytes").prepared
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), np.uint8)
    made.pack(folder, {"image": images}, np.arange(count) % 10, 10, count, {})
    data = Packed(folder, "train")
    packed = Batches(data, size, seed=0, epoch=lambda: 0)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    loader = DataLoader(_Samples(data), size, sampler=order)
    for ours, (image, target) in zip(packed, loader, strict=True):
        assert torch.equal(ours.inputs["image"], image)
        assert torch.equal(ours.target, target)
    turned: tuple[Turns, Turns] = ([], [])
    for _ in range(turns):
        for side, source in enumerate((packed, loader)):
            watch = Stopwatch()
            with watch.running():
                for _batch in source:  # type: ignore[attr-defined]
                    pass
            turned[side].append((watch.cpu, watch.wall))
    rates = [f"{count / min(turn[0] for turn in side):,.0f}" for side in turned]
    print(f"batches: {rates[0]} and {rates[1]} images/s", flush=True)
    return Result("batches, 32 x 32", *turned, 0.33, ("µs an image", 1e6 / count), "every batch")


def nothing_to_do(root: Path, turns: int) -> Result:
    """`dvc repro` of our stages, all done, against as many stages that do nothing."""
    ours, plain = Path("ours"), Path("plain")
    shutil.copytree(root / "src", ours / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "conf", ours / "conf")
    for name in ("dvc.yaml", "params.yaml", "requirements.lock"):
        shutil.copy(root / name, ours / name)
    names = yaml.safe_load((ours / "params.yaml").read_text())["experiments"]
    stages = yaml.safe_load((ours / "dvc.yaml").read_text())["stages"]
    with contextlib.chdir(ours):
        for name in names:
            write_composed(name)
            made.finished(stages, name)
    plain.mkdir()
    trivial = {
        key: {
            "matrix": {"experiment": names},
            "cmd": f"echo > {key}-${{item.experiment}}",
            "outs": [f"{key}-${{item.experiment}}"],
        }
        for key in stages
    }
    (plain / "dvc.yaml").write_text(yaml.safe_dump({"stages": trivial}))
    for folder, done in ((ours, ["commit", "--force"]), (plain, ["repro"])):
        _dvc(folder, "init", "--no-scm")
        (folder / ".dvc/config").write_text(
            "[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n"
        )
        _dvc(folder, *done)
    turned: tuple[Turns, Turns] = ([], [])
    for turn in range(turns):
        for side, folder in enumerate((ours, plain)):
            watch = Stopwatch()
            with watch.running():
                said = _dvc(folder, "repro")
            assert "up to date" in said, f"{folder}: {said}"
            turned[side].append((watch.cpu, watch.wall))
        print(
            f"no-op {turn + 1}/{turns}: {turned[0][-1][1]:.1f} s and {turned[1][-1][1]:.1f} s",
            flush=True,
        )
    return Result(
        f"no-op, {len(stages) * len(names)} stages", *turned, 1.5, ("s", 1.0), "nothing ran"
    )


def _dvc(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

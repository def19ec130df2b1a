"""Training: one plain function from a configuration to a model on disk and a run in MLflow.

It sees the train and validation splits only. The score that it gives back is that of the weights it keeps.
"""

from __future__ import annotations

import csv
import logging
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging

from goodfit import build, config, lineage, track
from goodfit.callbacks import Augmentation, Curves, moving_average
from goodfit.checkpoint import AtomicCheckpoints
from goodfit.data.intact import intact
from goodfit.data.packed import DataModule, Packed
from goodfit.describe import open_run
from goodfit.errors import UserError
from goodfit.files import replacing, sha256, write_json
from goodfit.mask import mask
from goodfit.places import Places
from goodfit.predict import Predictor
from goodfit.task.base import Task

# its advertisement, and a notice about devices that says what the run's tags say
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
# Lightning 2.6 asks PyTorch 2.13 a question in an old way; nothing that a user can change
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
# its hint on a machine that has Slurm: one process trains here whether srun started it or not
warnings.filterwarnings("ignore", message=".*`srun` command is available.*")


@dataclass(frozen=True)
class Trained:
    """What a training gave: its run, the monitored validation score of the weights that were kept, and where."""

    run_id: str
    monitor: str
    score: float
    folder: Path | None


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: the model goes to models/<experiment>."""
    _tell(fit(cfg, out=Places(cfg.name).model))


def by_hand(cfg: DictConfig) -> float:
    """`python pipelines/train.py ...`: the model goes to build/runs/<run>, beside whatever DVC keeps.

    A trial of a sweep keeps none: the winner is trained again by `dvc repro`.
    """
    from hydra.core.hydra_config import HydraConfig

    from hydra_plugins.hydra_optuna_sweeper import trial as trials

    overrides = HydraConfig.get().overrides.task
    if trials.active():
        from goodfit import search

        return search.objective(cfg, overrides)
    trained = fit(cfg, overrides=overrides)
    _tell(trained)
    return trained.score


def fit(
    cfg: DictConfig,
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    tags: Mapping[str, str] | None = None,
    keep: bool = True,
) -> Trained:
    """Trains on prepared data, keeps the best weights by validation, tracks everything.

    Without `keep`, only the run's numbers and texts stay.

    Raises:
        UserError: the parts do not fit.
        NonFiniteLossError: before the optimizer step that would have destroyed the weights.
        PrunedError: one of `callbacks` ended a training that was not worth going on with.
    """
    folder, git = Places(cfg.name).prepared, lineage.git()  # a commit during training did not train the model
    _same_data(cfg, folder)
    pl.seed_everything(cfg.seed, verbose=False)
    data = DataModule(folder, batch_size=cfg.loader.batch_size, seed=cfg.seed)
    task = build.task(cfg, data.spec)
    run = open_run(cfg, task, data, folder, overrides, git, tags or {})
    checkpoints = Path("build/checkpoints") / run.run_id
    with track.truthful(run):
        try:
            curves, measured = _optimize(cfg, task, data, checkpoints, run, callbacks)
        finally:
            if not keep:
                shutil.rmtree(checkpoints, ignore_errors=True)
        facts = {"commit": git["commit"], "dirty": git["dirty"], "run_id": run.run_id, **measured}
        for group in ("scores", "cost"):
            prefix = {"scores": "final"}.get(group, group)
            run.log({f"{prefix}/{name}": value for name, value in facts[group].items()})
        run.flush()
        place = (out or Path("build/runs") / run.run_id) if keep else None
        if place:
            with replacing(place) as part:
                _write(cfg, task, curves.history, facts, part)
                run.folder(part, "model")  # before the files are in place: a stage that fails leaves none
    return Trained(run.run_id, facts["monitor"], facts["scores"][facts["monitor"]], place)


def _same_data(cfg: DictConfig, folder: Path) -> None:
    """Raises UserError where the data are broken, or were prepared with another section `data`."""
    made = intact(folder, "train", "validation")["made_with"]
    wanted = config.data_section(cfg)
    if changed := sorted(key for key in {*made, *wanted} if made.get(key) != wanted.get(key)):
        raise UserError(
            f"{folder} was prepared with data.{changed[0]}={made.get(changed[0])}, "
            f"got {wanted.get(changed[0])}; change conf/ or params.yaml, then `dvc repro prepare@{cfg.name}`"
        )


def _optimize(
    cfg: DictConfig, task: Task, data: DataModule, folder: Path, run: track.Run, more: Sequence[Callback]
) -> tuple[Curves, dict[str, Any]]:
    """Leaves the best weights in `task`, and says what training measured."""
    curves = Curves(run.log)
    if cfg.early_stopping.patience >= cfg.trainer.max_epochs:
        print(f"early_stopping.patience={cfg.early_stopping.patience} never acts in {cfg.trainer.max_epochs} epochs")
    best = ModelCheckpoint(
        folder, "best", monitor=f"val/{task.monitor}", mode=task.mode(task.monitor), enable_version_counter=False
    )
    # whole ones: with save_weights_only, Lightning 2.6 would write the last weights instead of their average
    # two of them: with a monitor, save_last=True leaves the best epoch under the name of the last
    last = ModelCheckpoint(folder, "last", enable_version_counter=False)
    trainer = build.trainer(cfg, callbacks=[*_callbacks(cfg, task, curves, best, last), *more], **_quiet(folder))
    started = time.monotonic()
    trainer.fit(task, datamodule=data)
    seconds = time.monotonic() - started
    if not Path(best.best_model_path).is_file():
        raise UserError(f"no epoch had a finite val/{task.monitor}; nothing was kept")
    kept = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    task.load_state_dict(kept["state_dict"])
    return curves, {
        "monitor": f"val/{task.monitor}",
        "epochs": len(curves.history),
        "best_epoch": int(kept["epoch"]),
        "steps": trainer.global_step,
        "scores": kept_scores(task, data),
        "cost": {
            "seconds": round(seconds, 2),
            "parameters": sum(p.numel() for p in task.parameters()),
            "peak_memory_mb": round(_peak_memory()),
        },
    }


def _callbacks(cfg: DictConfig, task: Task, curves: Curves, *checkpoints: ModelCheckpoint) -> list[Callback]:
    stop = EarlyStopping(
        f"val/{task.monitor}",
        mode=task.mode(task.monitor),
        patience=cfg.early_stopping.patience,
        min_delta=cfg.early_stopping.min_delta,
    )
    average = [WeightAveraging(avg_fn=moving_average(cfg.average))] if cfg.average else []
    return [Augmentation(build.augment(cfg), cfg.seed), *average, stop, curves, *checkpoints]


def _quiet(folder: Path) -> dict[str, Any]:
    """Trainer's own bar, summary, trial run and logger are ours to do: they cost up to 5 ms a step."""
    return {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
        "plugins": [AtomicCheckpoints()],
        "use_distributed_sampler": False,
    }


def kept_scores(task: Task, data: DataModule) -> dict[str, float]:
    """Loss and scores of the kept weights on both splits, without dropout and augmentation, and their gap."""
    task.eval()
    scores = {**_measure(task, data.train, "train"), **_measure(task, data.validation, "val")}
    names = ["loss", *task.scores]
    return scores | {f"gap/{name}": scores[f"val/{name}"] - scores[f"train/{name}"] for name in names}


def _measure(task: Task, split: Packed, name: str) -> dict[str, float]:
    predictor = Predictor(task, task.spec)
    raw = predictor.raw_outputs(split)
    prediction = task.predict(raw)
    row = {f"{name}/loss": float(task.loss(raw, split.target))}
    return row | {f"{name}/{key}": float(score(prediction, split.target)) for key, score in task.metrics().items()}


def _write(cfg: DictConfig, task: Task, history: list[dict[str, float]], facts: dict[str, Any], out: Path) -> None:
    (out / "config.yaml").write_text(mask(config.dump(config.frozen(cfg))))
    task.spec.write(out / "spec.json")
    torch.save(task.model.state_dict(), out / "weights.pt")
    write_json(out / "train.json", {**facts, "weights_sha256": sha256(out / "weights.pt")})
    with (out / "history.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(history[-1]))
        writer.writeheader()
        writer.writerows(history)


def _peak_memory() -> float:
    """Of this process so far, in MB; on a GPU, of the GPU."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _tell(trained: Trained) -> None:
    print(f"{trained.monitor} {trained.score:.4f} with the weights kept in {trained.folder}; run {trained.run_id}")

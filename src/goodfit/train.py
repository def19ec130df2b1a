"""Training: one plain function from a configuration to a model on disk and a run in MLflow.

It sees the train and validation splits only. The score that it gives back is that of the weights it keeps.
"""

from __future__ import annotations

import csv
import gc
import logging
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, WeightAveraging
from pytorch_lightning.utilities.exceptions import SIGTERMException

from goodfit import build, config, devices, lineage, memory, resume, stop, track
from goodfit.callbacks import Chance, Curves, moving_average
from goodfit.checkpoint import AtomicCheckpoints, Keeper, load
from goodfit.contract import Trained
from goodfit.data.intact import intact
from goodfit.data.packed import DataModule, Packed, Share
from goodfit.describe import open_run
from goodfit.errors import NonFiniteLossError, OutOfMemory, PrunedError, UserError
from goodfit.everywhere import everywhere
from goodfit.files import replacing, sha256, write_json
from goodfit.mask import mask
from goodfit.places import Places
from goodfit.predict import Predictor
from goodfit.resume import Plan
from goodfit.task.base import Task

# its advertisement, and a notice about devices that says what the run's tags say
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric.utilities.distributed").setLevel(logging.WARNING)  # "Initializing distributed"
# Lightning 2.6 asks PyTorch 2.13 a question in an old way; nothing that a user can change
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
# its hint on a machine that has Slurm: processes are started by goodfit.launch, whether srun is there or not
warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
# `check` refuses the pair that it warns of: average with trainer=fsdp
warnings.filterwarnings("ignore", message=".*WeightAveraging doesn't support sharding.*")
# scores of an epoch are computed from the predictions of all devices, so all have the same
warnings.filterwarnings("ignore", message=".*sync_dist=True.*")


def work(
    cfg: DictConfig,
    job: Mapping[str, Any],
    parts: int,
    begun: Plan | None = None,
    callbacks: Sequence[Callback] = (),
) -> Trained:
    """A training of a resolved `cfg` as one process of it, alone or beside others; `launch.fit` calls it.

    `job` holds `out` (the model's folder, "" for build/runs/<run>), `overrides`, `tags`, and `keep`: without
    it only the run's numbers and texts stay. `parts` micro-batches make a device's share of a step.

    Raises:
        UserError: the parts do not fit, or what a cut training left does not.
        NonFiniteLossError: before the optimizer step that would have destroyed the weights.
        PrunedError: as a trial of a sweep it was not worth going on with.
        OutOfMemory: of a device.
    """
    memory.tune()
    if parts > 1:  # the attempt before held its network, its data and its Trainer in rings
        gc.collect()
        torch.cuda.empty_cache()
    folder, git = Places(cfg.name).prepared, lineage.git()  # a commit during training did not train the model
    _same_data(cfg, folder)
    pl.seed_everything(cfg.seed, verbose=False)
    ranks = devices.ranks()
    with _place(cfg, job, ranks, begun) as plan:
        parts = max(parts, plan.parts) * cfg.trainer.accumulate_grad_batches
        share = Share(ranks.rank, ranks.world, parts)
        data = DataModule(folder, **cfg.loader, seed=cfg.seed, share=share)
        task = build.task(cfg, data.spec)
        if ranks.world > 1:
            everywhere(task)
        run = track.silent() if ranks.rank else _run(cfg, task, data, folder, job, git, plan)
        with track.truthful(run), _ending(plan, ranks.rank, parts, cfg.trainer.accumulate_grad_batches):
            if not ranks.rank:
                plan.write(run.run_id, parts // cfg.trainer.accumulate_grad_batches)
            with stop.patiently():
                curves, keeper, steps = _optimize(cfg, task, data, plan, run, parts, callbacks)
            if stop.asked():  # after the last step: nothing is lost, the same command writes the model
                raise SystemExit(128 + stop.asked())
            if ranks.rank:
                return Trained("", keeper.monitor, keeper.best["value"], None)
            task, measured = _best(cfg, data, curves, keeper, steps)
            facts = {"commit": git["commit"], "dirty": git["dirty"], "run_id": run.run_id, **measured}
            place = _keep(cfg, task, curves, facts, run, job)
    return Trained(run.run_id, facts["monitor"], facts["scores"][facts["monitor"]], place)


@contextmanager
def _place(cfg: DictConfig, job: Mapping[str, Any], ranks: devices.Ranks, begun: Plan | None) -> Iterator[Plan]:
    """Where checkpoints go; for a trial of a sweep a folder that is thrown away: a cut trial begins anew."""
    if job["keep"]:
        yield begun or resume.plan(cfg, job["overrides"], ranks.world)
        return
    root = Path("build/checkpoints")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix="trial-") as folder:
        yield Plan(Path(folder), {})


@contextmanager
def _ending(plan: Plan, rank: int, parts: int, least: int) -> Iterator[None]:
    """Tells cuts, which the same command goes on from, from ends, after which it starts anew."""
    reason = ""
    try:
        yield
    except (UserError, NonFiniteLossError, PrunedError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise
    except SIGTERMException:  # told to stop before the first step
        raise SystemExit(128 + signal.SIGTERM) from None
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise OutOfMemory(str(error).splitlines()[0], parts // least) from None
        raise
    finally:
        if not rank and (reason or sys.exc_info()[0] is None):
            plan.over(reason)


def _run(
    cfg: DictConfig,
    task: Task,
    data: DataModule,
    folder: Path,
    job: Mapping[str, Any],
    git: dict[str, str],
    plan: Plan,
) -> track.Run:
    """The run that the training began in, if this database has it; else a new one."""
    uri = str(cfg.tracking.uri)
    with track.answers(uri):
        found = track.find(uri, plan.run_id) if plan.run_id else None
        if found is None:
            return open_run(cfg, task, data, folder, job["overrides"], git, job["tags"])
        found.go_on()
    return found


def _keep(
    cfg: DictConfig, task: Task, curves: Curves, facts: dict[str, Any], run: track.Run, job: Mapping[str, Any]
) -> Path | None:
    """Final numbers to the run, and the model to its folder."""
    for group in ("scores", "cost"):
        prefix = {"scores": "final"}.get(group, group)
        run.log({f"{prefix}/{name}": value for name, value in facts[group].items()})
    run.flush()
    if not job["keep"]:
        return None
    place = Path(job["out"] or f"build/runs/{run.run_id}")
    with replacing(place) as part:
        _write(cfg, task, curves.history, facts, part)
        run.folder(part, "model", later=place)  # before the files are in place: a stage that fails leaves none
    return place


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
    cfg: DictConfig,
    task: Task,
    data: DataModule,
    plan: Plan,
    run: track.Run,
    parts: int,
    more: Sequence[Callback],
) -> tuple[Curves, Keeper, int]:
    """Trains to the end, from where it was cut if it was; gives also the number of steps."""
    if cfg.early_stopping.patience >= cfg.trainer.max_epochs and not run.silent:
        print(f"early_stopping.patience={cfg.early_stopping.patience} never acts in {cfg.trainer.max_epochs} epochs")
    curves = Curves(run.log, cfg.loader.batch_size)
    monitor = f"val/{task.monitor}"
    keeper = Keeper(plan.folder, monitor=monitor, mode=task.mode(task.monitor), seconds=cfg.checkpoint.seconds)
    callbacks = [*_callbacks(cfg, task), *more, curves, keeper]
    trainer = build.trainer(cfg, callbacks=callbacks, accumulate_grad_batches=parts, **_quiet(plan.folder))
    if plan.checkpoint and not run.silent:
        found = load(plan.checkpoint)
        print(
            f"resuming from epoch {found['epoch'] + 1}, step {found['global_step']} "
            f"({plan.checkpoint}, verified), run {run.run_id}",
            flush=True,
        )
    trainer.fit(task, datamodule=data, ckpt_path=plan.checkpoint, weights_only=True)
    keeper.stop_clock()
    if not keeper.best:
        raise UserError(f"no epoch had a finite {monitor}; nothing was kept")
    return curves, keeper, trainer.global_step


def _best(cfg: DictConfig, data: DataModule, curves: Curves, keeper: Keeper, steps: int) -> tuple[Task, dict[str, Any]]:
    """The network with the best weights, made anew as any reader of the model would, and what training measured."""
    kept = load(keeper.folder / keeper.best["file"])
    task = build.task(cfg, data.spec)
    task.load_state_dict(kept["state_dict"])
    return task, {
        "monitor": keeper.monitor,
        "epochs": len(curves.history),
        "best_epoch": int(kept["epoch"]),
        "steps": steps,
        "scores": kept_scores(task, data),
        "cost": {
            "seconds": round(keeper.trained, 2),
            "parameters": sum(p.numel() for p in task.parameters()),
            "peak_memory_mb": round(_peak_memory()),
        },
    }


def _callbacks(cfg: DictConfig, task: Task) -> list[Callback]:
    from hydra_plugins.hydra_optuna_sweeper import trial as trials

    early = EarlyStopping(
        f"val/{task.monitor}",
        mode=task.mode(task.monitor),
        patience=cfg.early_stopping.patience,
        min_delta=cfg.early_stopping.min_delta,
    )
    average = [WeightAveraging(avg_fn=moving_average(cfg.average))] if cfg.average else []
    pruning = []
    if trials.active():
        from goodfit.search import Pruning

        pruning = [Pruning(trials.current())]
    return [Chance(build.augment(cfg), cfg.seed), build.guard(cfg), *average, early, *pruning]


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
    """Loss and scores of the kept weights on both splits, without dropout and augmentation, and their gap.

    The network computes where it was trained: a CPU may take longer for one pass than a GPU for the training.
    """
    task.to(data.device)
    scores = _measure(task, data.train, "train", data.roomy) | _measure(task, data.validation, "val", data.roomy)
    task.cpu()
    return scores | {f"gap/{name}": scores[f"val/{name}"] - scores[f"train/{name}"] for name in ["loss", *task.scores]}


def _measure(task: Task, split: Packed, name: str, size: int) -> dict[str, float]:
    raw = Predictor(task, task.spec).raw_outputs(split, size)
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

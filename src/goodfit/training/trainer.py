"""Lightning's Trainer, with the options that every training here has."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy
from typing_extensions import override

from goodfit import build
from goodfit.training.checkpoint import AtomicCheckpoints

# messages of Lightning about what is so on purpose, with the reason for each
_EXPECTED = (
    # Lightning 2.6 asks PyTorch 2.13 a question in an old way; nothing that a user can change
    ".*isinstance.treespec, LeafSpec.*",
    # on a machine that has Slurm: goodfit.launch starts the processes, whether srun is there or not
    ".*`srun` command is available.*",
    # trainer=cpu wants it so, and the first line of a training says what it runs on
    ".*GPU available but not used.*",
    # `config.check` refuses the pair that it warns of: average with trainer=fsdp
    ".*WeightAveraging doesn't support sharding.*",
    # scores of an epoch are computed from the predictions of all ranks, so all have the same
    ".*sync_dist=True.*",
)


_NOTHING: AbstractContextManager[None] = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Measures nothing, in the 50 blocks of a step that Lightning could measure.

    Its own makes a generator for each of them, which took a tenth of a step of 1 ms.
    """

    @override
    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return _NOTHING


def quiet_lightning() -> None:
    """From now on Lightning is silent, in this process, about what is so on purpose.

    Tips and advertisements go too; other warnings stay.
    """
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    # "Initializing distributed": a line from each rank with what the run's tags say
    logging.getLogger("lightning_fabric.utilities.distributed").setLevel(logging.WARNING)
    # the visible GPUs of each rank: the first line of a training says what it runs on
    logging.getLogger("pytorch_lightning.accelerators.cuda").setLevel(logging.WARNING)
    for message in _EXPECTED:
        warnings.filterwarnings("ignore", message=message)


def make_trainer(
    cfg: DictConfig, folder: Path, *, world: int, micro_batches: int, callbacks: Sequence[Callback]
) -> pl.Trainer:
    """A Trainer for one rank of `world`, with checkpoints in `folder`.

    Lightning's progress bar, model summary, sanity validation and logger are left out: they cost up
    to 5 ms a step. Strategy "fsdp" is PyTorch's fully sharded data parallel, version 2.

    Raises:
        UserError: the section `trainer` is not what Lightning takes.
    """
    # named, so that Lightning does not take over where it finds itself under srun
    environment = LightningEnvironment() if world == 1 else TorchElasticEnvironment()
    options: dict[str, Any] = {
        "callbacks": list(callbacks),
        "accumulate_grad_batches": micro_batches,
        "plugins": [AtomicCheckpoints(), environment],
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
        "use_distributed_sampler": False,  # batches are this rank's part already (store/loader.py)
    }
    if cfg.trainer.get("profiler") is None:
        options["profiler"] = NoProfiler()
    strategy = cfg.trainer.get("strategy")
    if strategy == "fsdp":
        # Lightning's own "fsdp", the first version, refuses CPUs; a checkpoint is one file here
        options["strategy"] = ModelParallelStrategy(
            data_parallel_size=world, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    if strategy == "ddp":
        # the only buffers that training changes are BatchNorm's, alike on all ranks (batchnorm.py)
        options["strategy"] = DDPStrategy(forward_sync_buffers=False)
    trainer: pl.Trainer = build.trainer(cfg, **options)
    return trainer

"""The sections of a configuration that no class of ours receives: their keys, types and ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from goodfit.schema import Amount, Count, Fraction, Name, Rate, Whole


class _Section(BaseModel):
    """Keys that are listed are checked; others are left to the class that receives them."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)


class _Trainer(_Section):
    max_epochs: Count
    min_epochs: Count | None = None
    max_steps: Count | Literal[-1] = -1
    # 16-mixed overflows by design before it finds its scale: the guard would take that for a broken
    # gradient
    precision: Literal["32-true", "64-true", "bf16-mixed", "bf16-true"] = "32-true"
    accumulate_grad_batches: Count = 1
    gradient_clip_val: Amount | None = None
    limit_train_batches: Rate | None = None
    limit_val_batches: Rate | None = None
    check_val_every_n_epoch: Literal[1] = 1  # the best epoch is chosen among all
    fast_dev_run: Literal[False] = (
        False  # it keeps no weights; trainer.max_epochs=1 tries a training
    )
    devices: Count | Literal["auto"]
    num_nodes: Count = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = "auto"


class _Optimizer(_Section):
    lr: Rate
    weight_decay: Amount = 0


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Loader(_Strict):
    batch_size: Count
    workers: Whole


class _Checkpoint(_Strict):
    seconds: Amount


class _EarlyStopping(_Strict):
    patience: Count
    min_delta: Amount


class _Evaluate(_Strict):
    resamples: Annotated[Count, Field(ge=100)]  # 95 % of fewer is the range of two or three
    examples: Whole


class _Tracking(_Strict):
    uri: str
    run_name: str | None


SECTIONS: dict[str, Any] = {
    "name": Name,
    "seed": Whole,
    "average": Fraction,
    "resume": Literal["auto", "must", "never"],
    "loader": _Loader,
    "checkpoint": _Checkpoint,
    "early_stopping": _EarlyStopping,
    "evaluate": _Evaluate,
    "tracking": _Tracking,
    "trainer": _Trainer,
    "optimizer": _Optimizer,
}

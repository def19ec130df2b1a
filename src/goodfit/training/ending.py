"""A training that ends within an epoch is validated there, on the weights that it ends with."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from typing_extensions import override


class ValidateAtMaxSteps(pl.Callback):
    """The step number `trainer.max_steps` is followed by a validation, wherever in an epoch it is.

    Lightning validates after an epoch's last batch alone. An epoch that was cut before it ended
    with the scores of the epoch before, or with none in the first.
    """

    @override
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if not 0 <= trainer.max_steps <= trainer.global_step:
            return
        # a training that should stop is validated at once, unless it has to go on until one of
        # these: max_steps ends it before them all the same
        trainer.fit_loop.min_epochs = None
        trainer.fit_loop.epoch_loop.min_steps = None
        trainer.should_stop = True

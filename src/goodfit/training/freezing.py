"""Parameters that stay as they are for some epochs, or for all."""

from __future__ import annotations

import math

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from typing_extensions import override

from goodfit.schema import ParameterRules
from goodfit.task.layers import layer_of
from goodfit.task.parameter_groups import frozen_names
from goodfit.training.lightning_task import LightningTask


def freeze(model: nn.Module, rules: ParameterRules, epoch: int) -> None:
    """What is frozen in an epoch has no gradient; called before the network is wrapped or sharded.

    And before a checkpoint of that epoch is restored: under trainer=fsdp the optimizer's state is
    dropped, in silence, for parameters that have no gradient.
    """
    frozen = frozen_names(model, rules, epoch)
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)


def trainable(model: nn.Module, rules: ParameterRules) -> int:
    """How many numbers of the network a training changes, from its first epoch or a later one."""
    kept = frozen_names(model, rules, math.inf)
    return sum(weight.numel() for name, weight in model.named_parameters() if name not in kept)


def describe(model: nn.Module, rules: ParameterRules) -> str | None:
    """What is frozen and for how long, in a line; None where nothing is."""
    frozen = frozen_names(model, rules)
    if not frozen:
        return None
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    count = sum(sizes[name] for name in frozen)
    until = f"for {rules.unfreeze_at} epochs" if rules.unfreeze_at else "in all epochs"
    line = f"{count:,} of {sum(sizes.values()):,} parameters"
    if rules.train != "gradual":
        return f"frozen {until}: {line}"
    layers = max(layer_of(model).values()) + 1
    named = f"; those of parameters.freeze {until}" if rules.freeze else ""
    return (
        f"frozen at first: {line}; of {layers} layers the head alone is trained in epoch 1, one "
        f"more in each, all from epoch {layers} on{named}"
    )


class Freezing(pl.Callback):
    """Frozen layers answer as in use; each epoch trains what the rules say.

    A frozen layer is one whose parameters all are. Its BatchNorm keeps its averages, and nothing is
    dropped in it, so the same input gives the same output there as before the training.
    """

    def __init__(self, rules: ParameterRules) -> None:
        self.rules = rules

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # a training that goes on amid an epoch does not begin that epoch again
        self._apply(trainer, pl_module)

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._apply(trainer, pl_module)

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model = _network(pl_module)
        at_first = frozen_names(model, self.rules)
        frozen = frozen_names(model, self.rules, trainer.current_epoch)
        for layer in frozen_layers(model, at_first):
            layer.train()
        for layer in frozen_layers(model, frozen):
            layer.eval()
        released = [
            weight
            for name, weight in model.named_parameters()
            if name in at_first - frozen and not weight.requires_grad
        ]
        if not released:
            return
        for weight in released:
            weight.requires_grad_(True)
        _wrap_again(trainer, pl_module)


def _network(pl_module: pl.LightningModule) -> nn.Module:
    assert isinstance(pl_module, LightningTask)
    return pl_module.task.model


def _wrap_again(trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
    """DDP exchanges gradients of what had one when it was made, and would leave out the others."""
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy):
        strategy.model = pl_module
        strategy.configure_ddp()


def frozen_layers(model: nn.Module, frozen: set[str]) -> list[nn.Module]:
    """The largest parts of a network whose parameters, of which there are some, are all frozen.

    What has none of its own, such as dropout, belongs to the part around it.
    """
    layers: list[nn.Module] = []
    names = [name for name, _ in model.named_parameters()]
    inside: str | None = None
    for name, module in model.named_modules():
        if inside is not None and name.startswith(inside):
            continue
        prefix = f"{name}." if name else ""
        own = [each for each in names if each.startswith(prefix)]
        if own and frozen.issuperset(own):
            layers.append(module)
            inside = prefix
    return layers

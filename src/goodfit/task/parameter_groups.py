"""Which parameters the optimizer steps alike, and which it leaves alone: by their names.

Names are those of `named_parameters`. Patterns match the whole name, as in a shell: `*` is any
text, dots too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from goodfit.errors import UserError, nearest
from goodfit.schema import ParameterRules
from goodfit.task.layers import layer_of, matches

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

Groups = list[dict[str, Any]]


def make_optimizer(
    model: nn.Module, *, optimizer: Callable[[Groups], Optimizer], rules: ParameterRules
) -> Optimizer:
    """The optimizer of a network, each group with its own rate of learning."""
    made = optimizer(parameter_groups(model, rules))
    for group in made.param_groups:
        # before the schedule is made, which multiplies the rate that each group begins with
        group["lr"] *= group["lr_factor"]
    # a fused one says that it divides by the scale of the loss in its step, and Lightning then
    # refuses to clip gradients in any mixed precision; losses are not scaled here (config/sections)
    made._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return made


def parameter_groups(model: nn.Module, rules: ParameterRules) -> Groups:
    """Every parameter of the network is in one group, with those that are stepped as it is.

    A group is what torch.optim takes, and has `lr_factor` besides. Of `rules.groups` the first that
    matches a name counts. Below the head, `layer_decay` multiplies the factor once for each layer
    (Howard and Ruder 2018, section 3.2; theirs is 1 / 2.6). Its weight decay is that of weights:
    norms and biases have none under `no_decay: norms_and_biases`, in whatever group. Frozen
    parameters belong to groups too: optimizers pass over what has no gradient, and nothing moves
    when they are unfrozen.
    """
    undecayed = set(norms_and_biases(model)) if rules.no_decay == "norms_and_biases" else set()
    decayed = _decayed_rates(model, rules)
    by_options: dict[tuple[float, float | None], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        lr_factor, weight_decay = _options(name, rules)
        lr_factor *= decayed.get(name, 1.0)
        if name in undecayed:
            weight_decay = 0.0
        by_options.setdefault((lr_factor, weight_decay), []).append(parameter)

    groups = []
    for (lr_factor, weight_decay), parameters in by_options.items():
        group: dict[str, Any] = {"params": parameters, "lr_factor": lr_factor}
        if weight_decay is not None:  # else the optimizer's own
            group["weight_decay"] = weight_decay
        groups.append(group)
    return groups


def norms_and_biases(model: nn.Module) -> Iterator[str]:
    """Names of the parameters that shift and rescale, and so fit no noise that a decay would damp.

    They are those of normalization layers, those of at most one dimension, and whatever is called a
    bias. nanoGPT and timm draw the line there too. Embeddings are matrices, and decay; a network
    where they should not has a group with `weight_decay: 0.0`.
    """
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            # LayerNorm over several dimensions has weights of several
            if parameter.ndim <= 1 or isinstance(module, _NORMS) or name.startswith("bias"):
                yield f"{prefix}.{name}" if prefix else name


def frozen_names(model: nn.Module, rules: ParameterRules, epoch: float = 0) -> set[str]:
    """Names of the parameters that are not trained in an epoch, counted from 0.

    They are those that `rules.freeze` matches, and, of the layers that the network declares, all
    but the head, or, with `train: gradual`, all but the head and one more each epoch (Howard and
    Ruder 2018, section 3.3); and those of BatchNorm, with `freeze_batch_norm`. At infinity they are
    those that are never trained.
    """
    names = [name for name, _ in model.named_parameters()]
    frozen = set(_of_batch_norm(model)) if rules.freeze_batch_norm else set()
    if rules.unfreeze_at is None or epoch < rules.unfreeze_at:
        frozen |= {name for name in names if matches(name, rules.freeze)}
    if rules.train == "all":
        return frozen
    layers = layer_of(model)
    head = max(layers.values())
    first = head if rules.train == "head" else head - epoch
    return frozen | {name for name, layer in layers.items() if layer < first}


def _of_batch_norm(model: nn.Module) -> Iterator[str]:
    for prefix, module in model.named_modules():
        if isinstance(module, _NormBase):
            for name, _ in module.named_parameters(recurse=False):
                yield f"{prefix}.{name}" if prefix else name


def check_patterns(model: nn.Module, rules: ParameterRules) -> None:
    """Every pattern matches a parameter, and not all parameters are frozen.

    Raises:
        UserError: a pattern matches none, with the nearest one that does; or nothing is left to
            train.
    """
    names = [name for name, _ in model.named_parameters()]
    used = [("groups", group.names) for group in rules.groups]
    used += [("freeze", pattern) for pattern in rules.freeze]
    for key, pattern in used:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(
                f"parameters.{key}: '{pattern}' matches no parameter of {type(model).__name__}."
                f"{nearest(pattern, _possible_patterns(names))}"
            )

    if rules.freeze and len(frozen_names(model, rules)) == len(names):
        others = "" if rules.train == "all" else f", with train={rules.train},"
        raise UserError(
            f"parameters.freeze={list(rules.freeze)}{others} matches all parameters of "
            f"{type(model).__name__}; expected some that are left to train"
        )


def _options(name: str, rules: ParameterRules) -> tuple[float, float | None]:
    """Factor of the rate and weight decay of a parameter; None is the optimizer's own decay."""
    for group in rules.groups:
        if fnmatchcase(name, group.names):
            return group.lr_factor, group.weight_decay
    return 1.0, None


def _decayed_rates(model: nn.Module, rules: ParameterRules) -> dict[str, float]:
    """By what `layer_decay` multiplies the rate of each parameter: 1 for the head's."""
    if rules.layer_decay == 1:
        return {}
    layers = layer_of(model)
    head = max(layers.values())
    return {name: rules.layer_decay ** (head - layer) for name, layer in layers.items()}


def _possible_patterns(names: Iterable[str]) -> set[str]:
    """The names, and for every module that has parameters the pattern that matches all of them."""
    possible = set(names)
    for name in names:
        parts = name.split(".")
        possible |= {".".join(parts[:depth]) + ".*" for depth in range(1, len(parts))}
    return possible

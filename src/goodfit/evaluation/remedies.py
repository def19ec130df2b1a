"""What would make a network fit better: overrides of its own configuration, the likeliest first.

Docs: docs/overfitting.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from goodfit.records.fit import Evidence, Fit, Remedy

_MOST = 3
_LARGEST_DROPOUT = 0.5
_FEW_IMAGES = 2_000
Config = Mapping[str, Any]  # by dotted names


def remedies(fit: Fit, evidence: Evidence, config: Config) -> tuple[Remedy, ...]:
    """At most three; none for a good fit or a leak, and only options that the configuration has."""
    found: Iterator[Remedy]
    if fit is Fit.OVERFIT:
        found = chain(_from_other_images(evidence, config), _simpler(config))
    elif fit is Fit.DEGENERATE or (fit is Fit.UNDERFIT and evidence.on_train.low <= 0):
        found = _other_steps(evidence, config)
    elif fit is Fit.UNDERFIT:
        found = chain(_from_other_images(evidence, config), _stronger(config))
    elif fit is Fit.TOO_FEW:
        found = iter([Remedy("cv=5", "each sample of train and validation is held out once")])
    else:
        found = iter(())
    return tuple(found)[:_MOST]


def _from_other_images(evidence: Evidence, config: Config) -> Iterator[Remedy]:
    """Few images are told apart by what other images have taught."""
    is_from_scratch = config.get("model._target_") == "goodfit.model.cnn.CNN"
    if is_from_scratch and evidence.samples < _FEW_IMAGES:
        yield Remedy("model=efficientnet", "its weights know what a million photos have taught")


def _simpler(config: Config) -> Iterator[Remedy]:
    """What leaves a network less room to learn its samples by heart."""
    if config.get("transfer") == "finetune":
        yield Remedy("transfer=probe", "the head alone has less to learn by heart with")
    if config.get("regularization") != "strong":
        yield Remedy("regularization=strong", "all that suits these data, at once")
    dropout = _number(config, "model.dropout")
    if dropout is not None and dropout < _LARGEST_DROPOUT:
        more = min(_LARGEST_DROPOUT, round(dropout + 0.2, 2))
        yield Remedy(f"model.dropout={more:g}", "units that are left out do not rely on each other")
    decay = _number(config, "optimizer.weight_decay")
    if decay is not None:
        yield Remedy(f"optimizer.weight_decay={max(0.01, 10 * decay):g}", "smaller weights")
    width = _number(config, "model.width")
    if width is not None and width >= 2:
        yield Remedy(f"model.width={_half(int(width), config)}", "a smaller network")
    if not _number(config, "average") and config.get("trainer.strategy") != "fsdp":
        yield Remedy("average=0.99", "an average of the weights is smoother than the last ones")


def _stronger(config: Config) -> Iterator[Remedy]:
    """What lets a network learn more."""
    if config.get("transfer") == "probe":
        yield Remedy("transfer=finetune", "all layers learn, the earlier ones by smaller steps")
    epochs = _number(config, "trainer.max_epochs")
    if epochs is not None:
        yield Remedy(f"trainer.max_epochs={2 * int(epochs)}", "twice the time to learn")
    rate = _number(config, "optimizer.lr")
    if rate is not None:
        yield Remedy(f"optimizer.lr={3 * rate:g}", "larger steps get farther in the same time")
    width = _number(config, "model.width")
    if width is not None:
        yield Remedy(f"model.width={2 * int(width)}", "a larger network")
    dropout = _number(config, "model.dropout")
    if dropout:
        yield Remedy(f"model.dropout={dropout / 2:g}", "less of the network is left out")


def _other_steps(evidence: Evidence, config: Config) -> Iterator[Remedy]:
    """What helps where nothing was learned: steps of another size.

    Where the loss of train was still falling, they were too small.
    """
    rate = _number(config, "optimizer.lr")
    if rate is not None:
        smaller = Remedy(f"optimizer.lr={rate / 10:g}", "steps too large destroy what was learned")
        larger = Remedy(f"optimizer.lr={10 * rate:g}", "steps too small learn nothing in this time")
        slope = evidence.train_curve.slope
        falls = slope is not None and slope.low > 0
        yield from (larger, smaller) if falls else (smaller, larger)
    if config.get("parameters.freeze"):
        yield Remedy("parameters.freeze=[]", "what is frozen does not learn")


def _half(width: int, config: Config) -> int:
    """Half a width, or the next smaller one that the heads of a network divide."""
    heads = int(_number(config, "model.heads") or 1)
    return max(heads, width // 2 // heads * heads)


def _number(config: Config, name: str) -> float | None:
    value = config.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

"""A network starts from weights that were trained before: from a file, name by name.

Every tensor of the network is the file's or is named as fresh. PyTorch's own `strict=False` leaves
out in silence what has another name, and a network half of noise trains, too.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from goodfit.errors import UserError, nearest
from goodfit.paths import pretrained_path
from goodfit.schema import Pretrained, Rename
from goodfit.system.files import sha256
from goodfit.system.tensors import load_tensors
from goodfit.task.layers import matches

_EXPECTED = "expected what torch.save(model.state_dict(), path) or safetensors writes"
# what torch.load raised for 12,000 texts, random bytes and files that were cut or had other bytes
_BROKEN = (RuntimeError, EOFError, LookupError, ValueError, AssertionError, struct.error)
_MOST_NAMES = 4  # in a message

State = dict[str, Tensor]


def start_from(model: nn.Module, pretrained: Pretrained) -> str | None:
    """Copies a file's tensors into the network; a line says what was taken, None if no file is.

    Parameters and the buffers that are saved with them are treated alike. The file is the pinned
    one, or is refused; no code in it runs.

    Raises:
        UserError: the file is missing, broken or no state_dict; a tensor of the network is neither
            in it nor fresh, or has another shape or type there, or is not finite; a rule matches
            nothing.
    """
    source = pretrained.source
    if source is None:
        return None
    path = pretrained_path(source.sha256, source.filename)
    network = type(model).__name__
    _verify(path, source.sha256)
    content = _read(path)
    names = _renamed(content, pretrained.rename, path.name)

    state = model.state_dict()
    fresh = _fresh(list(state), pretrained.fresh, network)
    wanted = [name for name in state if name not in fresh]
    _check_names(wanted, names, path.name, network)
    taken = {name: content[names[name]] for name in wanted}
    for name, tensor in taken.items():
        _check_tensor(name, tensor, state[name], path.name, network)

    model.load_state_dict({**state, **taken})
    numbers = sum(tensor.numel() for tensor in taken.values())
    unused = [names[name] for name in names if name not in taken]
    return (
        f"starting from {path.name} (SHA-256 {str(source.sha256)[:12]}...): "
        f"{len(taken)} tensors with {numbers:,} numbers; "
        f"fresh: {_listed(fresh)}; not used of the file: {_listed(unused)}"
    )


def _verify(path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise UserError(f"{path} does not exist; training or pipelines/fetch.py brings it")
    if sha256(path) != expected:
        raise UserError(f"{path} fails its checksum; delete it, the same command brings it again")


def _read(path: Path) -> State:
    """The tensors of the file by their names there; one of safetensors is told by its name."""
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = load_tensors(path, advice=_EXPECTED)
    except UserError:  # a ValueError, too
        raise
    except (*_BROKEN, SafetensorError):
        raise UserError(f"{path} is no file of tensors; {_EXPECTED}") from None

    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds no names with tensors; {_EXPECTED}")
    others = [str(name) for name, value in content.items() if not _is_named_tensor(name, value)]
    if others:
        raise UserError(f"{path} holds more than dense tensors: {_listed(others)}; {_EXPECTED}")
    return dict(content)


def _is_named_tensor(name: object, value: object) -> bool:
    """Whether an item of the file is a tensor, with each of its numbers, under a name."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"  # "meta" has a shape alone
        and not value.is_quantized
    )


def _renamed(content: Iterable[str], rules: Iterable[Rename], file: str) -> dict[str, str]:
    """The file's name of each tensor, by the name that it has in the network."""
    content, rules = list(content), list(rules)
    for rule in rules:
        if not any(name.startswith(rule.file) for name in content):
            raise UserError(
                f"pretrained.rename: no name in {file} begins with '{rule.file}'; "
                f"it has {_listed(content)}"
            )
    names: dict[str, str] = {}
    for name in content:
        new = _new_name(name, rules)
        if new in names:
            raise UserError(
                f"pretrained.rename: '{names[new]}' and '{name}' of {file} both become '{new}'"
            )
        names[new] = name
    return names


def _new_name(name: str, rules: Iterable[Rename]) -> str:
    for rule in rules:
        if name.startswith(rule.file):
            return rule.network + name.removeprefix(rule.file)
    return name


def _fresh(names: Collection[str], patterns: Collection[str], network: str) -> list[str]:
    """The network's names that a pattern matches; each of them matches one."""
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in names):
            raise UserError(
                f"pretrained.fresh: '{pattern}' matches nothing of {network}."
                f"{nearest(pattern, names)}"
            )
    return [name for name in names if matches(name, patterns)]


def _check_names(wanted: Collection[str], names: Collection[str], file: str, network: str) -> None:
    """All that the network wants is in the file."""
    if not wanted:
        raise UserError(f"pretrained.fresh matches all of {network}: nothing is left for {file}")
    missing = [name for name in wanted if name not in names]
    if len(missing) == len(wanted):
        raise UserError(
            f"{file} has no name of {network}: it has {_listed(names)}, the network "
            f"{_listed(wanted)}; give pretrained.rename"
        )
    if missing:
        raise UserError(
            f"{file} lacks {len(missing)} of {len(wanted)} tensors of {network}: "
            f"{_listed(missing)}; name them in pretrained.fresh, or rename the file's by "
            "pretrained.rename"
        )


def _check_tensor(name: str, tensor: Tensor, own: Tensor, file: str, network: str) -> None:
    """The file's tensor can be the network's as it is, bit by bit."""
    if tensor.shape != own.shape:
        raise UserError(
            f"{name} has the shape {tuple(tensor.shape)} in {file}, {tuple(own.shape)} in "
            f"{network}; name it in pretrained.fresh, or give the network the file's shape"
        )
    value = tensor.to(own.dtype)
    if not torch.isfinite(value).all():
        raise UserError(f"{name} in {file} is not finite as {own.dtype}; expected other weights")
    # float16 is exact in float32, float64 need not be
    if not torch.equal(value.to(tensor.dtype), tensor):
        raise UserError(
            f"{name} in {file} holds {tensor.dtype} that {own.dtype} of {network} rounds; "
            "save the file in the network's type"
        )


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:_MOST_NAMES]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{', '.join(shown)}{more}" if shown else "nothing"

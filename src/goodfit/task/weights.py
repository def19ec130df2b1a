"""A model's file of weights: the network's tensors, and beside them what its task has learned.

Letters: K numbers of a tensor.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from goodfit.task.base import Task

_OWN = "task:"  # begins the name of what is the task's: no network has such a name
_NETWORK = "model."  # begins the names of the network's tensors in the task


def kept(task: Task) -> dict[str, Tensor]:
    """What the file holds by name, (K, ...) each: of most tasks the network's tensors alone."""
    state: dict[str, Tensor] = task.model.state_dict()
    state.update({f"{_OWN}{name}": values for name, values in _own(task).items()})
    return state


def load(task: Task, state: Mapping[str, Tensor]) -> None:
    """The inverse of `kept`, of tensors (K, ...) by name.

    Raises:
        RuntimeError: these are the tensors of another network, or of another task.
    """
    network = {name: values for name, values in state.items() if not name.startswith(_OWN)}
    own = {name.removeprefix(_OWN): state[name] for name in state if name not in network}
    task.model.load_state_dict(network)
    expected = _own(task)
    if own.keys() - expected.keys() or expected.keys() - own.keys() - set(task.may_lack):
        raise RuntimeError(f"the task has {sorted(expected)}, the file has {sorted(own)}")
    task.load_state_dict(own, strict=False)


def _own(task: Task) -> dict[str, Tensor]:
    """The buffers of the task itself, by name."""
    state = task.state_dict()
    return {name: state[name] for name in state if not name.startswith(_NETWORK)}

"""A device that is not there: its tensors have values, and do not mix with those of the CPU.

What runs on it runs on a GPU as far as devices of tensors are concerned: each operation is refused
that gets tensors of both. Reads (the host waits for a number of the device) and sends (the other
way) are counted, for each costs a GPU time. Why: docs/decisions/0015-pretended-device.md.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from pytorch_lightning.accelerators import Accelerator, AcceleratorRegistry
from torch import Tensor
from torch._decomp.decompositions import gru_impl
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

# a type that torch knows and does not use: one of our own (PrivateUse1) brings threads of autograd,
# with which tests that fork fail
DEVICE = torch.device("lazy:0")
NAME = "pretended"
_MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
# for these the host must know a number, or the shape of the result
_READS = (
    torch.ops.aten._local_scalar_dense,
    torch.ops.aten.nonzero,
    torch.ops.aten._unique2,
    torch.ops.aten.equal,
)


class Far(Tensor):
    """A tensor of the device; its values lie in `near`, which no network gets hold of."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        far: Far = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=DEVICE,
        )
        far.near = near
        return far

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Far({self.near})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        # a checkpoint holds values, and says no more of devices
        return self.near.__reduce_ex__(protocol)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec)

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} on the device outside of Pretend")


class Pretend:
    """In its block the device is there; `reads` and `sends` count, by operation, what crosses."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self.sends: Counter[str] = Counter()

    def __enter__(self) -> Pretend:
        self._modes = ExitStack()
        self._modes.enter_context(_Functions())
        self._modes.enter_context(_Operations(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._modes.close()


class _Functions(TorchFunctionMode):
    """Functions that torch computes in C++, unseen, made of operations that dispatch sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch._VF.gru and isinstance(args[0], Far):  # type: ignore[attr-defined]
            return gru_impl(*args)
        if func is Tensor.new_tensor and isinstance(args[0], Far):
            return torch.tensor(args[1], **{"dtype": args[0].dtype, **kwargs}).to(DEVICE)
        if func is Tensor.tolist and isinstance(args[0], Far):
            return args[0].cpu().tolist()
        if func is torch.tensor and _type(kwargs.get("device")) == DEVICE.type:
            return func(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


class _Operations(TorchDispatchMode):
    """Computes each operation on the values, on the CPU."""

    def __init__(self, seen: Pretend) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        far = [tensor for tensor in tensors if isinstance(tensor, Far)]
        # a single number of the CPU may take part, as on a GPU
        near = [tuple(x.shape) for x in tensors if not isinstance(x, Far) and x.dim()]
        if far and near and func not in _MOVES:
            raise RuntimeError(f"{func} got arrays of the CPU {near} and of the device")

        to = _type(kwargs.get("device"))
        self._count(func, args, far, to)
        if to == DEVICE.type:
            kwargs["device"] = torch.device("cpu")
        result = func(*_nearer(args), **_nearer(kwargs))

        if _changes_first(func):
            return args[0] if func._schema.returns else None
        if to == DEVICE.type or (far and to != "cpu"):
            return tree_map_only(Tensor, Far, result)
        return result

    def _count(self, func: Any, args: Any, far: list[Far], to: str | None) -> None:
        if func.overloadpacket in _READS and far:
            self.seen.reads[str(func)] += 1
        if func not in _MOVES:
            return
        if func is torch.ops.aten.copy_.default:
            source, target = args[1].device.type, args[0].device.type
        else:
            source, target = args[0].device.type, to
        self.seen.reads[str(func)] += (source, target) == (DEVICE.type, "cpu")
        self.seen.sends[str(func)] += (source, target) == ("cpu", DEVICE.type)


class Pretended(Accelerator):
    """The device as one of Lightning's accelerators."""

    def setup_device(self, device: torch.device) -> None:
        pass

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        return {}

    def teardown(self) -> None:
        pass

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [DEVICE]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return NAME


AcceleratorRegistry.register(NAME, Pretended)


def _nearer(arguments: Any) -> Any:
    """The same arguments with the values of the device's tensors."""
    return tree_map_only(Far, lambda far: far.near, arguments)


def _changes_first(func: Any) -> bool:
    """Whether an operation writes into its first argument."""
    first = func._schema.arguments[0].alias_info if func._schema.arguments else None
    return first is not None and first.is_write


def _type(device: Any) -> str | None:
    return None if device is None else torch.device(device).type

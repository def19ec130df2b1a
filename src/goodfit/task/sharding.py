"""A network divided among devices: each holds a part of the parameters (FSDP2)."""

from __future__ import annotations

from typing import Any

from torch import nn


def shard(network: nn.Module, mesh: Any) -> None:
    """Each child of the network, and then the whole, is sharded over the mesh of devices."""
    from torch.distributed.fsdp import fully_shard

    for child in network.children():
        has_parameters = next(child.parameters(), None) is not None
        # fully_shard refuses a ModuleList: it has no forward to gather parameters for
        if has_parameters and not isinstance(child, nn.ModuleList):
            fully_shard(child, mesh=mesh)
    fully_shard(network, mesh=mesh)

"""The raw files that a configuration names are those that its data set reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goodfit.config.signature import Signature
from goodfit.errors import UserError, nearest

_OF_NETWORKS = "tokenizer"  # which the file of a network brings


def check_sources(given: Mapping[str, Any], target: str, declared: Signature) -> None:
    """The raw files that the data set reads are described, and no other.

    Raises:
        UserError: one is missing, or another one is there.
    """
    reads = [f"data.sources.{name}" for name in declared.constants["sources"]]
    options = reads + [f"data.sources.{name}" for name in declared.constants["may_read"]]
    for key in sorted({f"data.sources.{name}" for name in given} - set(options)):
        if key.endswith(f".{_OF_NETWORKS}"):
            raise UserError(
                f"the network brings a tokenizer, and {target.rpartition('.')[2]} reads no texts "
                "by one; choose data=texts or data=reviews, or another model="
            )
        raise UserError(f"unknown key '{key}' for {target}.{nearest(key, options)}")
    for key in sorted(set(reads) - {f"data.sources.{name}" for name in given}):
        raise UserError(f"'{key}' is missing: {target} reads it")

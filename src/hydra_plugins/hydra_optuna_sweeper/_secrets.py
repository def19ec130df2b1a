"""A storage's password stays out of what is shown and of what is written to disk."""

from __future__ import annotations

import copy
import re

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

_KEY = "hydra.sweeper.storage"
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*(?=@)|([?&]password=)[^&\s]*")


def hidden(text: str) -> str:
    """The text with *** for the passwords in its URLs, also in one that no database library can read."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text)


def masked(config: DictConfig) -> DictConfig:
    """The configuration as jobs get it, and as .hydra/hydra.yaml and multirun.yaml show it.

    An interpolation such as ${oc.env:DATABASE} is kept: it says where the password is, not what it is.
    """
    storage = OmegaConf.to_container(config.hydra.sweeper, resolve=False).get("storage")  # type: ignore[union-attr]
    if not isinstance(storage, str) or hidden(storage) == storage:
        return config
    found = copy.deepcopy(config)
    with read_write(found), open_dict(found):
        found.hydra.sweeper.storage = hidden(storage)
        others = [item for item in found.hydra.overrides.hydra if item.lstrip("+").partition("=")[0] != _KEY]
        found.hydra.overrides.hydra = [*others, f"{_KEY}='{hidden(storage)}'"]  # a job is composed anew from these
    return found

"""A storage's password stays out of what is shown and of what is written to disk."""

from __future__ import annotations

import copy
import re

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

_KEY = "hydra.sweeper.storage"
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*(?=@)|([?&]password=)[^&\s]*")


def mask_passwords(text: str) -> str:
    """*** stands for the passwords in the text's URLs, also in one that no driver can read."""
    return _PASSWORD.sub(lambda match: f"{match[1] or match[2]}***", text)


def mask_storage(config: DictConfig) -> DictConfig:
    """The configuration as jobs get it, and as .hydra/hydra.yaml and multirun.yaml show it.

    An interpolation such as ${oc.env:DATABASE} is kept: it says where the password is, not what it
    is.
    """
    sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    storage = sweeper.get("storage")  # type: ignore[union-attr]
    if not isinstance(storage, str) or mask_passwords(storage) == storage:
        return config

    masked = copy.deepcopy(config)
    with read_write(masked), open_dict(masked):
        masked.hydra.sweeper.storage = mask_passwords(storage)
        overrides = [
            override
            for override in masked.hydra.overrides.hydra
            if override.lstrip("+").partition("=")[0] != _KEY
        ]
        # a job is composed anew from these
        masked.hydra.overrides.hydra = [*overrides, f"{_KEY}='{mask_passwords(storage)}'"]
    return masked

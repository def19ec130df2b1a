"""What an experiment may be called: its name is one of folders, stages and registered models."""

from __future__ import annotations

import re

from goodfit.errors import UserError

RULE = (
    "a name that begins with a letter and holds letters a to z, digits, '_' and '-' alone, "
    "100 at most"
)
# a letter first: Hydra and YAML take 2024 and 1e5 for numbers
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")


def is_name(text: object) -> bool:
    """Whether an experiment can be called so."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def check_experiment(name: object, where: str = "") -> None:
    """An experiment can have this name; `where` begins the message.

    Raises:
        UserError: it cannot, whether or not conf/experiment/ has such a file.
    """
    if not is_name(name):
        raise UserError(f"{where}experiment {name!r}: expected {RULE}")

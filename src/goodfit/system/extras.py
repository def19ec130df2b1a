"""Libraries that only some experiments need: they are installed with an extra of the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from goodfit.errors import UserError

# libraries, by import name, that a model in use may import; openpyxl reads raw files alone
EXTRAS = {"lxml": "text", "sacrebleu": "text", "soundfile": "audio", "tokenizers": "text"}


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports that come with `extra`: one that is missing is told in a line.

    Raises:
        UserError: a library of the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; "
            f"`pip install -c requirements.lock -e '.[{extra}]'` in the repository brings it"
        ) from None

"""Files of tensors, whoever they come from."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from goodfit.errors import UserError

# what torch's messages call a function that a pickle wants to import
_REFUSED = re.compile(r"(?:GLOBAL|Unsupported global:) (\S+)")


def load_tensors(path: Path, map_location: Any = "cpu") -> Any:
    """What a file of torch's holds, read as data: nothing in it is run.

    Raises:
        UserError: the file holds more than tensors, numbers, texts and their containers.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        what = f"it would call {refused[1]}" if refused else "it is no file of numbers and names"
        raise UserError(f"{path} is refused: {what}; use one that training wrote") from None

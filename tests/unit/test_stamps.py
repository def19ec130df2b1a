"""Stamps: which pictures are there, of which class, and what stays together."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from goodfit import build
from goodfit.data.stamps import Stamps, series
from goodfit.errors import UserError

RAW = {"files": tiny.SAMPLES / "tuxpaint-stamps-default_2022.06.04-1.deb"}


def stamps() -> Stamps:
    made = build.data_set(tiny.cfg("stamps-small"))
    assert isinstance(made, Stamps)
    return made


def test_pictures_with_a_caption_are_taken_from_folders_that_have_enough() -> None:
    """Not the mirrored one, nor that of a folder of one, nor sounds."""
    rows = stamps().read(RAW)
    assert rows["label"].value_counts().to_dict() == {"animals": 16, "food": 16, "plants": 16}
    assert rows["file"].str.endswith(".png").all()
    assert not rows["file"].str.contains("mirror").any()


def test_transparency_is_white() -> None:
    rows = stamps().read(RAW)
    (image,) = stamps().load(RAW, rows.head(1))["image"]
    assert image.shape == (16, 16, 3)
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[8, 8].max() < 120


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("food/fruit/apple_red.png", "food/fruit/cartoon/apple_core.png"),
        ("town/flags/redflag.png", "town/flags/blue-and-yellowflag.png"),
        ("plants/mushrooms/cep-1.png", "plants/mushrooms/cep.png"),
        ("plants/flowers/flower1.png", "plants/flowers/flower10.png"),
        ("household/tools/wrench.png", "household/tools/wrench_adjustable.png"),
        ("seasonal/christmas/Candy_cane_photo_1.png", "seasonal/christmas/candy_cane.png"),
        (
            "symbols/alphabets/english/filled/lowercase/a_filled.png",
            "symbols/alphabets/german/outlined/uppercase/A_with_umlaut_outline.png",
        ),
        ("symbols/money/us/coins/001penny.png", "symbols/money/us/coins/010dime.png"),
    ],
)
def test_pictures_of_one_thing_or_of_one_set_are_a_series(one: str, other: str) -> None:
    assert series(one) == series(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("animals/birds/crow.png", "animals/birds/owl.png"),
        ("animals/birds/redstart.png", "animals/birds/starling.png"),
        ("food/fruit/orange.png", "plants/orange.png"),
        ("symbols/money/us/coins/001penny.png", "symbols/money/euro/coins/001.png"),
        ("symbols/alphabets/asl/asl_a.png", "symbols/alphabets/english/filled/lowercase/a.png"),
        ("symbols/chess/b_1_king.png", "symbols/math/1.png"),
        ("space/planets/2_venus.png", "space/planets/4_mars.png"),
        ("symbols/clockface.png", "symbols/recycle.png"),
    ],
)
def test_other_things_are_other_series(one: str, other: str) -> None:
    assert series(one) != series(other)


def test_a_series_is_in_one_split_and_near_copies_are() -> None:
    rows = stamps().read(RAW)
    rows["series"] = np.arange(len(rows)) // 2
    near = np.arange(len(rows))
    near[[0, 20, 40]] = 0
    names = stamps().split(rows, near)
    assert len(set(names[[0, 1, 20, 21, 40, 41]])) == 1
    assert (names[::2] == names[1::2]).all()
    assert stamps().clusters(rows).tolist() == rows["series"].tolist()


def test_a_package_without_stamps_is_told() -> None:
    other = tiny.SAMPLES / "klettres-data_4%3a22.12.3-1.deb"
    with pytest.raises(UserError, match=r"klettres-data_.*\.deb holds no stamps"):
        stamps().read({"files": other})

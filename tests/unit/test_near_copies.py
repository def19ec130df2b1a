"""Images that are nearly the same are found, and stay in one split."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_files import file_of, images
from PIL import Image

from goodfit.data import near_copies
from goodfit.data.near_copies import groups, sketches
from goodfit.errors import UserError
from goodfit.store.prepare import prepare


def scene(seed: int) -> Image.Image:
    """A picture of 96 pixels a side with soft light and dark parts, as no other seed gives."""
    parts = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(parts).resize((96, 96), Image.Resampling.BICUBIC)


def pixels(picture: Image.Image, side: int = 64) -> np.ndarray:
    """As prepare decodes it: (S, S, C)."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def written_anew(picture: Image.Image, folder: Path, quality: int) -> Image.Image:
    picture.save(folder / "anew.jpg", quality=quality)
    return Image.open(folder / "anew.jpg").convert("RGB")


@pytest.mark.parametrize("side", [8, 16, 28, 64])
def test_a_sketch_has_the_means_of_an_images_parts(side: int) -> None:
    """By repeating pixels up to a common size, and the means of whole pixels."""
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3))
    fine = image.mean(-1).repeat(16, 1).repeat(16, 2).reshape(1, 16, side, 16, side)
    expected = fine.mean((2, 4))
    assert np.abs(sketches(image).reshape(1, 16, 16) - expected).max() <= 0.51


def test_what_is_written_anew_or_smaller_is_near_and_nothing_else(tmp_path: Path) -> None:
    scenes = [scene(seed) for seed in range(40)]
    anew = [written_anew(each, tmp_path, quality=50) for each in scenes]
    smaller = [each.resize((48, 48)) for each in scenes]
    group = groups(sketches(np.stack([pixels(each) for each in [*scenes, *anew, *smaller]])))
    assert (group[:40] == group[40:80]).all()
    assert (group[:40] == group[80:]).all()
    assert len(set(group.tolist())) == 40


def test_near_is_a_mean_of_one_and_a_half_levels_and_a_tenth_of_the_contrast() -> None:
    """Equal sums of parts are no evidence: levels may have moved within them."""
    striped = np.tile([100, 140], 128)
    faint = np.tile([100, 110], 128)
    pairs = {
        "1.5 levels apart": (striped, striped + np.tile([1, 2], 128), True),
        "2 levels apart": (striped, striped + 2, False),
        "the stripes the other way": (striped, striped[::-1], False),
        "half a level, of a contrast of 5": (faint, faint + np.tile([0, 1], 128), True),
        "1 level, of a contrast of 5": (faint, faint + 1, False),
        "two that show nothing": (np.full(256, 90), np.full(256, 91), False),
    }
    for name, (first, second, are_near) in pairs.items():
        group = groups(np.stack([first, second]).astype(np.uint8))
        assert (group[0] == group[1]) == are_near, name


def test_copies_of_copies_and_equal_ones_are_one_group() -> None:
    film = np.tile([0, 200], 128) + np.arange(8)[:, None]  # each frame a level brighter
    group = groups(np.concatenate([film, film[:1], 255 - film[:1]]).astype(np.uint8))
    assert group[:9].tolist() == [group[0]] * 9
    assert group[9] != group[0]


def test_every_pair_that_is_near_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By comparing all with all."""
    rng = np.random.default_rng(1)
    first = rng.integers(60, 190, (60, 256))
    strength = np.linspace(0.5, 5, 50)[:, None]
    second = first[:50] + np.rint(strength * rng.uniform(-1, 1, (50, 256)))
    both = np.concatenate([first, second]).astype(np.uint8)
    distances = np.abs(both[:, None].astype(float) - both[None]).mean(-1)
    expected = {(int(a), int(b)) for a, b in np.argwhere(distances <= 1.5) if a < b}
    assert 10 < len(expected) < 50
    monkeypatch.setattr(near_copies, "_BLOCK", 7)
    pairs = zip(*near_copies._pairs(both), strict=True)
    assert {(int(min(pair)), int(max(pair))) for pair in pairs} == expected


def test_thousands_of_frames_of_a_fixed_camera_are_one_group() -> None:
    rng = np.random.default_rng(2)
    view = rng.integers(40, 210, 256)
    frames = view + rng.integers(-1, 2, (3000, 256))
    assert len(set(groups(frames.astype(np.uint8)).tolist())) == 1


@pytest.mark.slow
@pytest.mark.fault(73)
@pytest.mark.parametrize(("option", "together"), [("together", True), ("apart", False)])
def test_prepare_keeps_near_copies_in_one_split_and_counts_them(
    tmp_path: Path, option: str, together: bool
) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for seed in range(60):
            label, picture = "ab"[seed % 2], scene(seed)
            archive.writestr(f"{label}/{seed}.png", file_of(picture))
            anew = written_anew(picture, tmp_path, quality=70)
            archive.writestr(f"{label}/{seed} anew.png", file_of(anew))
    data = images(size=32, near_copies=option)
    manifest = prepare(data, {"files": tmp_path / "photos.zip"}, tmp_path / "out", made_with={})
    assert manifest.copies.rows == 0
    assert manifest.copies.near == (60 if together else None)
    scenes = [
        set(pd.read_parquet(tmp_path / "out" / split / "rows.parquet")["raw_row"] // 2)
        for split in ("train", "validation", "test")
    ]
    assert (sum(map(len, scenes)) == 60) == together


@pytest.mark.parametrize(
    ("films", "said"),
    [
        (True, "so 40 are 2: data.near_copies=apart takes them as different"),
        (False, "it takes more samples, or a larger share"),
    ],
)
def test_the_option_is_named_where_it_is_what_leaves_a_split_empty(
    tmp_path: Path, films: bool, said: str
) -> None:
    """Of a film of each class, and not where four images are too few anyway."""
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for frame in range(20 if films else 2):
            for seed, label in enumerate("ab"):
                picture = np.asarray(scene(seed)).clip(20, 220).astype(int) + frame
                archive.writestr(f"{label}/{frame:02}.png", file_of(picture.astype(np.uint8)))
    data = images(size=32)
    with pytest.raises(UserError) as refused:
        prepare(data, {"files": tmp_path / "photos.zip"}, tmp_path / "out", made_with={})
    assert str(refused.value).endswith(said)

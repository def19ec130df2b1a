"""Anybody's images, one sub-folder a class: any size, any usual format, colour or grey.

Letters: N images, B images that are encoded together, C channels, H height, W width, S the side.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import near_copies
from goodfit.data.base import Array, check_columns
from goodfit.data.faults import each
from goodfit.data.files import FileDataSet, file_bytes
from goodfit.data.pixels import as_bytes, as_numbers
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source, Whole

if TYPE_CHECKING:
    from PIL import Image

    Picture = Image.Image

_ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
# how the files of a format begin, as an expression: Pillow takes longer to say it
_BEGINNINGS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
    "TIFF": rb"II\*\x00|MM\x00\*",
    "WEBP": rb"RIFF....WEBP",
    "PPM": rb"P[1-6]\s",
}
# what Pillow calls the JPEG of a phone that has a second, smaller one behind it
_OF_SEVERAL = "MPO"
_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_WHITE_OF_16_BIT = 65535
_SIDES = (16, 32, 64)  # of what a network sees, where nobody says another
_ROUGH = 4  # times as large as what is left of it: details are gone
_GREY = ("1", "L", "LA", "La", "F", *_16_BIT)


class Images(FileDataSet):
    """Images of `size` pixels a side; a raw row has the column `image`.

    It holds an image's file, as bytes or base64, or its pixels, (H, W) or (H, W, C) bytes. An image
    is turned as its EXIF says, transparency becomes white, 16 bits become 8. `resize` makes a
    square of it: "pad" keeps all of it between black bars, "crop" its middle, "stretch" all of it.
    Near copies stay together in one split, unless `near_copies` is "apart".
    """

    inputs = ("image",)
    modality = "image"
    cell = "image"
    endings = _ENDINGS
    form = "heights and colours"

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        size: Count,
        channels: Literal[1, 3],
        resize: Literal["pad", "crop", "stretch"],
        max_pixels: Count,
        near_copies: Literal["together", "apart"],
        faults: Literal["fail", "quarantine"],
        most_faults: Fraction,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(
            sources=sources,
            faults=faults,
            most_faults=most_faults,
            test=test,
            validation=validation,
            split_seed=split_seed,
        )
        self.size, self.channels, self.resize = size, channels, resize
        self.max_pixels, self.near_copies = max_pixels, near_copies

    def decode(self, content: bytes) -> Array:
        """The pixels (S, S, C) of an image's file.

        Raises:
            UserError: it is cut or broken, too large, or holds several images.
        """
        return _square(_opened(content, self.max_pixels), **self._form())

    def decoding(self) -> dict[str, Any]:
        """The size and the rule, and the version of Pillow."""
        import PIL

        return {**self._form(), "max_pixels": self.max_pixels, "pillow": PIL.__version__}

    @property
    def array_bytes(self) -> int:
        """A byte for each pixel and channel."""
        return self.size**2 * self.channels

    @staticmethod
    def measured(content: bytes) -> tuple[float, ...]:
        """Width and height, and 1 where its pixels are grey, else 3.

        Raises:
            UserError: it is no image, or broken.
        """
        with _picture(content) as picture:
            return picture.width, picture.height, 1 if picture.mode in _GREY else 3

    @staticmethod
    def described(measures: Sequence[tuple[float, ...]]) -> str:
        """Width by height, of the smallest and the largest, and whether they are grey."""
        ordered = sorted(measures, key=lambda each: each[0] * each[1])
        first, last = (f"{each[0]:.0f} x {each[1]:.0f}" for each in (ordered[0], ordered[-1]))
        colours = {"grey" if each[2] == 1 else "colour" for each in measures}
        return f"{first}{'' if first == last else f' to {last}'}, {' and '.join(sorted(colours))}"

    @staticmethod
    def suited(measures: Sequence[tuple[float, ...]]) -> dict[str, Any]:
        """The next larger of a few sides; grey where all are."""
        longer = _longer_side(measures)
        size = next((side for side in _SIDES if side >= longer), _SIDES[-1])
        return {"size": size, "channels": int(max(each[2] for each in measures))}

    @staticmethod
    def becomes(measures: Sequence[tuple[float, ...]], options: Mapping[str, Any]) -> str:
        """So many pixels, and how those are made that are not square."""
        size, longer = options["size"], _longer_side(measures)
        said = f"{size} x {size} pixels in {'grey' if options['channels'] == 1 else 'colour'}"
        if any(each[0] != each[1] for each in measures):
            said += f", by resize={options['resize']}"
        if longer > _ROUGH * size:
            said += f"; half of the files are {longer / size:.0f} times as large, or more: "
            said += f"what only details tell takes a larger size, such as {2 * size}"
        return said

    @staticmethod
    def format_of(content: bytes) -> str:
        """The format of an image's file.

        Raises:
            UserError: it is none that is read here.
        """
        return _format_of(content)

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The classes of train; colours come with `fit_content`."""
        goal = self.goal(train)
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=len(goal.labels) or 1,
            inputs={"image": Field((self.channels, self.size, self.size), "uint8")},
            targets={"target": goal},
            facts={"resize": self.resize, "max_pixels": self.max_pixels},
        )

    def fit_content(self, spec: DataSpec, train: Iterator[pd.DataFrame]) -> DataSpec:
        """The mean and deviation of each channel in train."""
        from PIL import Image

        # how often each of the 256 values occurs tells both, exactly
        counts = np.zeros((self.channels, 256), np.int64)
        for rows in train:
            # Pillow counts four times as fast as NumPy
            pixels = np.concatenate(list(rows["image"])).squeeze()
            counts += np.reshape(Image.fromarray(pixels).histogram(), counts.shape)
        levels, total = np.arange(256.0), counts.sum(1)
        mean = counts @ levels / total
        # a channel that never changes stays 0 whatever divides it
        std = np.sqrt((counts @ levels**2 / total - mean**2).clip(min=0)).clip(min=1.0)
        image = replace(spec.inputs["image"], mean=tuple(mean.tolist()), std=tuple(std.tolist()))
        return replace(spec, inputs={**spec.inputs, "image": image})

    def sketch(self, rows: pd.DataFrame) -> Array | None:
        """Each image in 256 levels of grey, (B, 256)."""
        if self.near_copies == "apart":
            return None
        return near_copies.sketches(np.stack(list(rows["image"])))

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`image` (B, C, S, S) as bytes, of files or pixels of any size.

        Raises:
            UserError: the column `image` is missing.
            CellsError: a cell is no image.
        """
        check_columns(rows, ["image"])
        return {"image": encoded(rows["image"], spec)}

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The image (C, S, S) as the network sees it."""
        return Exhibit(
            picture=packed(sample["image"].transpose(1, 2, 0), "JPEG"), picture_format="jpeg"
        )

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Three images as PNG in base64."""
        return pd.DataFrame({"image": [packed(image, "PNG") for image in rows["image"].head(3)]})

    def _form(self) -> dict[str, Any]:
        return {"size": self.size, "channels": self.channels, "resize": self.resize}


def encoded(cells: pd.Series[Any], spec: DataSpec) -> Array:
    """Images (B, C, S, S) as bytes, of cells (B,) that hold files or pixels of any size.

    Raises:
        CellsError: a cell is no image.
    """
    channels, side, _ = spec.inputs["image"].fixed_shape
    form = {"size": side, "channels": channels, "resize": spec.facts["resize"]}
    read = partial(_cell, max_pixels=spec.facts["max_pixels"], form=form)
    images = np.asarray(each(cells, read), np.uint8).reshape(-1, side, side, channels)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _cell(cell: Any, max_pixels: int, form: Mapping[str, Any]) -> Array:
    """The pixels (S, S, C) of an image, as a caller sends it."""
    from PIL import Image

    shape = (form["size"], form["size"], form["channels"])
    if isinstance(cell, np.ndarray) and cell.dtype == np.uint8 and cell.shape == shape:
        return cell  # as prepare has decoded it: to go through Pillow takes as long as a small file
    content = file_bytes(cell)
    if content is not None:
        return _square(_opened(content, max_pixels), **form)
    values = as_numbers(cell)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    is_image = values.size and (
        values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    )
    if not is_image:
        raise UserError(f"is {values.shape}, expected pixels (height, width) or (height, width, 3)")
    return _square(Image.fromarray(as_bytes(values)), **form)


def _longer_side(measures: Sequence[tuple[float, ...]]) -> float:
    """The median of the longer sides."""
    return float(np.median([max(each[:2]) for each in measures]))


def _format_of(content: bytes) -> str:
    for form, beginning in _BEGINNINGS.items():
        if re.match(beginning, content, re.DOTALL):
            return form
    raise UserError(f"is no image that is read here ({', '.join(_BEGINNINGS)})")


def _picture(content: bytes) -> Picture:
    """A picture whose pixels are not decoded yet."""
    from PIL import Image, UnidentifiedImageError

    form = _format_of(content)
    try:
        # no other: of EPS, Pillow would start Ghostscript
        return Image.open(io.BytesIO(content), formats=(form,))
    except UnidentifiedImageError:
        raise UserError(f"cannot be read: it begins as {form}, and is cut or broken") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"claims more pixels than Pillow decodes: {error}") from None
    except Exception as error:  # whatever a decoder makes of bytes from anywhere
        raise UserError(f"cannot be read: {error or type(error).__name__}") from None


def _opened(content: bytes, max_pixels: int) -> Picture:
    """The decoded picture, turned as its EXIF says; its size is read before it is decoded."""
    from PIL import ImageOps

    with _picture(content) as picture:
        pixels = picture.width * picture.height
        if pixels > max_pixels:
            raise UserError(
                f"claims {pixels / 1e6:,.1f} megapixels; limit data.max_pixels={max_pixels}"
            )
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != _OF_SEVERAL:
            raise UserError(f"holds {frames} images, expected one")
        try:
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            return picture
        except Exception as error:  # whatever a decoder makes of bytes from anywhere
            raise UserError(f"cannot be decoded: {error or type(error).__name__}") from None


def _square(picture: Picture, size: int, channels: int, resize: str) -> Array:
    """Its pixels (S, S, C), resized by the rule."""
    from PIL import Image, ImageOps

    flat, mode = _flat(picture), "L" if channels == 1 else "RGB"
    if flat.mode != mode:  # else it would be a copy
        flat = flat.convert(mode)
    sides, method = (size, size), Image.Resampling.BILINEAR
    if flat.size != sides:
        if resize == "pad":
            flat = ImageOps.pad(flat, sides, method)
        elif resize == "crop":
            flat = ImageOps.fit(flat, sides, method)
        else:
            flat = flat.resize(sides, method)
    return np.asarray(flat).reshape(size, size, channels)


def _flat(picture: Picture) -> Picture:
    """The picture in 8 bits, on white where it is transparent."""
    from PIL import Image

    if picture.mode in _16_BIT:
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > _WHITE_OF_16_BIT:
            raise UserError("has grey values beyond 16 bits, of which nothing says what is white")
        return Image.fromarray(np.round(values * 255 / _WHITE_OF_16_BIT).astype(np.uint8))
    if picture.mode == "F":
        raise UserError("has decimals as grey values, of which nothing says what is white")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return picture


def packed(image: Array, form: str) -> str:
    """An image (H, W, C) as a file of Pillow's format `form` in base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image).squeeze()).save(stream, form)
    return base64.b64encode(stream.getvalue()).decode()

"""Folders of images and sounds as people have them, made for a test."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from goodfit.data.images import Images
from goodfit.schema import Source


def images(**options: Any) -> Images:
    """The data set, with what a test does not speak of."""
    given = {
        "sources": {"files": Source(file="photos.zip", sha256=None)},
        "size": 8,
        "channels": 3,
        "resize": "stretch",
        "max_pixels": 10**6,
        "faults": "fail",
        "near_copies": "together",
        "most_faults": 0.5,
        "test": 0.25,
        "validation": 0.25,
        "split_seed": 0,
    }
    return Images(**(given | options))


def file_of(pixels: Any, form: str = "PNG", **options: Any) -> bytes:
    """An image's file."""
    stream = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(stream, form, **options)
    return stream.getvalue()


def noise(seed: int, height: int = 12, width: int = 10) -> np.ndarray:
    """The pixels (H, W, 3) of an image that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def good(count: int) -> dict[str, bytes]:
    """Files of two classes, each another image."""
    return {f"{'ab'[each % 2]}/{each}.png": file_of(noise(each)) for each in range(count)}


def huge(width: int = 12_000, height: int = 12_000) -> bytes:
    """A PNG of a few bytes that claims 144 megapixels."""

    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", b"") + part(b"IEND", b"")


def zipped(files: Mapping[str, bytes], path: Path) -> dict[str, Path]:
    """The files in an archive, as a data set's raw file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return {"files": path}

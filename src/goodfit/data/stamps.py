"""Tux Paint's stamps: 763 pictures in twelve folders, photos and drawings, of Debian's package.

The folder is the class: animals, clothes, food, ... Those of fewer than ten pictures are left out
(military, people, medical, naturalforces: 22 pictures), and so are mirrored copies, the only
pictures without a caption of their own. GPL-2: no copy is kept here.

Letters: N pictures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import split
from goodfit.data.base import Array
from goodfit.data.images import Images
from goodfit.errors import UserError
from goodfit.system.archive import file_names

_PICTURE = re.compile(r"(.*/)?tuxpaint/stamps/(?P<path>[^/]+/.+)\.png")
_FEWEST = 10  # pictures of a class
# what tells the pictures of a series apart, before the thing that they show
_COLOURS = re.compile(
    r"((black|blue|brown|green|pink|red|white|yellow)(?=[-_]|flag)([-_]and)?[-_]?)+"
)
# all pictures of a folder are one set there: letters, chessmen, the coins of a country
_SETS = "symbols"
_LATIN = re.compile(r"alphabets/(english|german|spanish)/")  # the same letters, and a few more


class Stamps(Images):
    """Pictures as `Images` has them, on white; a series of one thing is in one split."""

    generic = False
    hidden = ("file", "series")
    cluster = "series"
    rule = "by series: pictures of one thing, or drawn as one set, are in one split"

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """File, class and series of each picture, in the package's order.

        Raises:
            UserError: the package is none, is broken, or holds no picture.
        """
        names = file_names(raw["files"])
        captions = {name.removesuffix(".txt") for name in names if name.endswith(".txt")}
        rows = []
        for name in names:
            picture = _PICTURE.fullmatch(name)
            if picture and name.removesuffix(".png") in captions:
                path = picture["path"]
                rows.append((name, path.partition("/")[0], series(path)))
        sizes = Counter(label for _, label, _ in rows)
        rows = [row for row in rows if sizes[row[1]] >= _FEWEST]
        if not rows:
            raise UserError(f"{raw['files'].name} holds no stamps; fetch it again")
        return pd.DataFrame(rows, columns=["file", "label", "series"])

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """As of `Images`, by the name of that class: who asks for an answer sends an image."""
        return replace(super().fit(train), data="goodfit.data.stamps.Stamps")

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """Names of splits (N,): whole series, with near copies in whatever folder."""
        groups = split.joined(rows["series"].to_numpy(str), duplicate_group)
        labels = rows["label"].to_numpy(str)
        return split.grouped(groups, labels, self.test, self.validation, self.split_seed)

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The series of each picture, (N,)."""
        return pd.factorize(rows["series"])[0]


def series(path: str) -> str:
    """What a picture is one of several of, by its path below stamps/: `food apple` of apple_red.

    The first word of its name without a colour before it; of symbols, the folder, at most two deep.
    """
    parts = PurePosixPath(_LATIN.sub("alphabets/latin/", path.lower())).parts
    if parts[0] == _SETS and len(parts) > 2:
        return " ".join(parts[:-1][:3])
    name = _COLOURS.sub("", parts[-1], count=1)
    word = re.match(r"[a-z]+", name.lstrip("-_0123456789"))
    return f"{parts[0]} {word[0] if word else name}"

"""Eight languages by ear: spoken captions of a children's program, and other voices as the test.

6,868 captions of 950 pictures in Tux Paint's stamps (Debian, GPL-2), about a second each, by one or
a few voices and microphones a language. So a voice tells its language, and a test on other captions
measures whether it is known again. The test here is Spanish, French and Russian of Asterisk's
telephone prompts (Debian, CC-BY-SA 3.0), by voices that are never heard in training; validation is
KLettres' letters and syllables (Debian, GPL-2+) in these languages, by other voices again: what is
chosen is chosen for new voices. No copy is kept here.

Letters: N clips of all packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import split
from goodfit.data.base import Array
from goodfit.data.sounds import Sounds
from goodfit.errors import UserError
from goodfit.system.archive import file_names, some_members

LANGUAGES = ("be", "bg", "ca", "el", "es", "fr", "ro", "ru")  # with 600 captions and more
# of each package: what tells a clip's language in its name, and the text that is spoken
_CLIPS = {
    "captions": re.compile(r".*/(?P<text>[^/]+)_desc_(?P<language>[a-z]+)\.ogg"),
    "letters": re.compile(r".*/klettres/(?P<language>es|fr|ru)/(?P<text>.+)\.ogg"),
    "phone_es": re.compile(r".*/sounds/(?P<language>es)_[^/]+/(?!silence/)(?P<text>.+)\.wav"),
    "phone_fr": re.compile(r".*/sounds/(?P<language>fr)_[^/]+/(?!silence/)(?P<text>.+)\.wav"),
    "phone_ru": re.compile(r".*/sounds/(?P<language>ru)_[^/]+/(?!silence/)(?P<text>.+)\.wav"),
}


class SpokenLanguage(Sounds):
    """Clips as `Sounds` has them; train is captions, validation letters, test telephone prompts.

    Captions that `SpokenCaptions` holds out are in no split: both train on the same.
    """

    sources = ("captions", "letters", "phone_es", "phone_fr", "phone_ru")
    generic = False
    hidden = ("file", "package")
    cluster = "voice"
    rule = (
        "by voice: captions in train; letters and syllables of other voices in validation; "
        "telephone prompts of voices that are in neither in test"
    )
    name: ClassVar[str] = "goodfit.data.spoken_language.SpokenLanguage"

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """File, language, package and spoken text of each clip, in the order of the packages.

        Raises:
            UserError: a package is none, is broken, or holds no clip.
        """
        rows = []
        for package, pattern in _CLIPS.items():
            found = [pattern.fullmatch(f"/{name}") for name in file_names(raw[package])]
            clips = [clip for clip in found if clip and clip["language"] in LANGUAGES]
            if not clips:
                raise UserError(f"{raw[package].name} holds no clip; fetch it again")
            for clip in clips:
                name = f"{package}{clip.string}"
                rows.append((name, clip["language"], package, clip["text"]))
        return pd.DataFrame(rows, columns=["file", "label", "package", "text"])

    def contents(
        self, raw: Mapping[str, Path], names: Sequence[str]
    ) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of some clips, package by package."""
        for package in self.sources:
            wanted = [name.partition("/")[2] for name in names if name.startswith(f"{package}/")]
            for name, content in some_members(raw[package], wanted):
                yield f"{package}/{name}", content

    @classmethod
    def check_name(cls, name: str, content: bytes) -> None:
        """Nothing: the packages are pinned, and with them the names of their files."""

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """As of `Sounds`."""
        return replace(super().fit(train), data=self.name)

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The name of each clip's split, (N,)."""
        names = np.full(len(rows), split.NO_SPLIT, dtype="<U10")
        is_caption = (rows["package"] == "captions").to_numpy()
        names[is_caption] = self._split_of_captions(rows[is_caption], duplicate_group[is_caption])
        # held out there, and of voices that train hears
        names[is_caption & (names != "train")] = split.NO_SPLIT
        names[(rows["package"] == "letters").to_numpy()] = "validation"
        names[rows["package"].str.startswith("phone").to_numpy()] = "test"
        return split.without_copies(names, duplicate_group)

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The voice of each clip, (N,): as far as is known, one for a language of a package."""
        return pd.factorize(rows["package"] + " " + rows["label"])[0]

    def _split_of_captions(self, captions: pd.DataFrame, duplicate_group: Array) -> Array:
        """Names of splits (N,): a picture is in one split, whatever the language."""
        pictures = split.joined(captions["text"].to_numpy(), duplicate_group)
        labels = captions["label"].to_numpy()
        return split.grouped(pictures, labels, self.test, self.validation, self.split_seed)

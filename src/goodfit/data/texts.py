"""Any file of rows with a column of texts: the target is told by the text alone.

Letters: N rows of the table, B rows that are encoded together, T tokens of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import pieces, table_texts, target, tokens
from goodfit.data.base import Array, check_columns
from goodfit.data.columns import Column
from goodfit.data.delimited import normal
from goodfit.data.faults import Faults
from goodfit.data.table import Table
from goodfit.records import ColumnRead, Exhibit
from goodfit.schema import Count, Fraction, Gap, Names, Source, TextOrNone, Whole


class Texts(Table):
    """Rows of a table of which the column `text` is the input; the others are left out.

    A text is its first `length` words, each in small letters; words that occur less than
    `min_count` times in train are one, "unknown". Where there is the raw file `tokenizer`, its
    pieces of words stand for words. Files, targets and splits are as of a table.
    """

    may_read: ClassVar[tuple[str, ...]] = ("split", "tokenizer")
    inputs = ("tokens", "mask")
    modality = "text"
    takes_any_cell = False
    drops = False

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        text: str,
        label: str | Names,
        kind: Literal["class", "ordered", "labels", "number", "numbers", "count"],
        order: Names,
        separator: TextOrNone,
        length: Count,
        min_count: Count,
        alike_labels: Literal["refuse", "join", "keep"],
        sheet: TextOrNone,
        encoding: TextOrNone,
        group: TextOrNone,
        time: TextOrNone,
        gap: Gap,
        assigned: TextOrNone,
        weight: TextOrNone,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(
            sources=sources,
            label=label,
            kind=kind,
            order=order,
            separator=separator,
            # whatever its texts look like
            columns={text: "category"},
            drop=[],
            missing="refuse",
            missing_in={},
            na_values={},
            equal_rows="together",
            alike_labels=alike_labels,
            sheet=sheet,
            encoding=encoding,
            group=group,
            time=time,
            gap=gap,
            assigned=assigned,
            weight=weight,
            test=test,
            validation=validation,
            split_seed=split_seed,
        )
        self.text, self.length, self.min_count = normal(text), length, min_count
        self._tokenizer: bytes | None = None  # `read` reads it

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """The texts and what else is needed, as text.

        Raises:
            UserError: as `Table.read`, or there is a tokenizer's file that is none.
        """
        self._tokenizer = pieces.read(raw, self.length)
        return super().read(raw)

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """The words of train, or what a tokenizer knows, and the labels."""
        goal = target.field(train[self.label], self.kind, self.order, self.goals)
        content, texts = self._tokenizer, train[self.text]
        known = () if content else tokens.vocabulary(texts, tokens.words, self.min_count)
        unit = "pieces of words" if content else "words"
        said = f"texts of which the first {self.length} {unit} are read"
        said += table_texts.said_of_tokens(texts)
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=len(goal.labels) or len(goal.mean),
            inputs=pieces.fields(content, known, self.length),
            targets={"target": goal},
            assets=pieces.assets(content),
            facts={
                "text": self.text,
                "columns": {self.text: {"kind": "text", "why": said, "missing": False}},
                **self._said(train),
            },
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`tokens` (B, T) and `mask` (B, T) of the column of texts.

        Raises:
            UserError: the column is missing, or cells are, or they are no texts.
        """
        name = spec.facts["text"]
        rows = rows.rename(columns=lambda column: normal(str(column)))
        check_columns(rows, [name])
        given = table_texts.all_there(rows[name])
        if spec.assets:
            return pieces.encode(given, spec)
        return tokens.encode(given, tokens.words, spec.inputs["tokens"])

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The text as it was written: its tokens (T,) do not tell words that train lacks."""
        return Exhibit(text=str(row[spec.facts["text"]]))

    @staticmethod
    def columns_read(spec: DataSpec) -> list[ColumnRead]:
        """As of a table, and no option reads the column of texts otherwise."""
        return [replace(column, otherwise=None) for column in Table.columns_read(spec)]

    def key(self, rows: pd.DataFrame) -> list[bytes]:
        """The words of each text: it is all that the network sees."""
        return [" ".join(tokens.words(text)).encode() for text in rows[self.text]]

    def _numbers(self, rows: pd.DataFrame) -> list[str]:
        return []

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """As of a table, (N,); equal rows are copies: no option takes them as cases of their own.

        Raises:
            UserError: a split is left without rows, or a cell names none.
        """
        return self._split(rows, duplicate_group)

    def _advice(self, faults: Faults) -> str:
        # no option says what a missing text would stand for
        return ""

    def _decided(self, cells: pd.Series[Any]) -> Column:
        if cells.name in (self.text, self.weight, *self.splitting.names):
            return super()._decided(cells)
        return Column(None, f"the input is '{self.text}' alone")

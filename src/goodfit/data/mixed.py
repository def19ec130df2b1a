"""Any file of rows with texts, or names of images, beside its numbers, categories and dates.

Letters: N rows of the table, B rows that are encoded together, F features, T tokens, C channels,
S the side of an image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import digests, images, table_texts, tokens
from goodfit.data.base import Array, arrays_as_lists, check_columns
from goodfit.data.columns import Column
from goodfit.data.delimited import normal
from goodfit.data.faults import Faults, override
from goodfit.data.files import visible
from goodfit.data.images import Images
from goodfit.data.named import found, tell_unnamed, unnamed
from goodfit.data.table import Table
from goodfit.data.table_cells import read_as
from goodfit.data.table_split import BY_FILE
from goodfit.errors import UserError
from goodfit.records import ColumnRead, Exhibit
from goodfit.schema import (
    Count,
    Equal,
    Fraction,
    Gap,
    Missing,
    MissingIn,
    MixedColumns,
    Names,
    NaValues,
    Source,
    TextOrNone,
    Whole,
)
from goodfit.system.archive import file_names

# of a table's own columns none begins with a space: the file of a row, and its number among all
FILE, PLACE = " file", " place"


class Photos(Images):
    """The images that a table names: several rows may have the same one."""

    may_repeat = True


class Mixed(Table):
    """A `Table` with columns that `columns` reads as `text`, and one as `image`.

    Of each text the first `length` words are read, as `Texts` reads them; one that is missing is a
    word of its own, where `missing` allows it. Images are those of the source `files`, read as
    `Images` reads them; several rows may name the same one, each must name one. All else is as of a
    table.
    """

    may_read = ("split", "files")
    inputs = ()
    may_give: ClassVar[tuple[str, ...]] = ("numbers", "tokens", "mask", "image")
    modality = "table, texts and images"
    hidden = (BY_FILE, FILE, PLACE)

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        label: str | Names,
        kind: Literal["class", "ordered", "labels", "number", "numbers", "count"],
        order: Names,
        separator: TextOrNone,
        columns: MixedColumns,
        drop: Names,
        missing: Missing,
        missing_in: MissingIn,
        na_values: NaValues,
        equal_rows: Equal,
        alike_labels: Literal["refuse", "join", "keep"],
        sheet: TextOrNone,
        encoding: TextOrNone,
        group: TextOrNone,
        time: TextOrNone,
        gap: Gap,
        assigned: TextOrNone,
        weight: TextOrNone,
        length: Count,
        min_count: Count,
        ending: TextOrNone,
        unnamed: Literal["refuse", "leave_out"],
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
        self.texts, self.photo = _looked_into(columns, sources)
        shares: dict[str, Any] = {"test": test, "validation": validation, "split_seed": split_seed}
        cells: dict[str, Any] = {"drop": drop, "missing_in": _missing_in(missing_in, self.photo)}
        cells |= {"alike_labels": alike_labels, "sheet": sheet, "encoding": encoding}
        cells |= {"columns": _of_table(columns), "weight": weight, "na_values": na_values}
        cells |= {"equal_rows": equal_rows, "missing": missing, "group": group, "time": time}
        cells |= {"kind": kind, "order": order, "separator": separator, "gap": gap}
        super().__init__(sources=sources, label=label, assigned=assigned, **cells, **shares)
        self.length, self.min_count, self.ending, self.unnamed = length, min_count, ending, unnamed
        form: dict[str, Any] = {"size": size, "channels": channels, "resize": resize}
        form |= {"max_pixels": max_pixels, "near_copies": near_copies, "faults": faults}
        self.photos = Photos(sources=sources, most_faults=most_faults, **form, **shares)

    @property
    def decoder(self) -> Photos | None:
        """What decodes the images, where a column names some."""
        return self.photos if self.photo else None

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """As of a table, with the file of each row's image in the place of its name.

        Raises:
            UserError: as `Table.read`, or files are not there, or are there without a row.
        """
        rows = super().read(raw)
        if not self.photo:
            return rows
        path = raw["files"]
        present = visible(path.name, file_names(path))
        return self.joined(raw["table"].name, rows, path.name, present)

    def joined(
        self, table: str, rows: pd.DataFrame, folder: str, present: Sequence[str]
    ) -> pd.DataFrame:
        """What `read` gives, of the rows (N,) of a table and the files that are `present`.

        `table` and `folder` call both in messages.

        Raises:
            UserError: as `read`.
        """
        names = found(table, rows[self.photo], folder, present, self.ending or "")
        others = unnamed(set(names), present, self.photos.endings)
        tell_unnamed(table, folder, others, self.unnamed)
        known = set(names)
        in_order = [name for name in present if name in known]
        place = {name: at for at, name in enumerate(in_order)}
        joined = rows.drop(columns=self.photo)
        joined[FILE], joined[PLACE] = names, [place[name] for name in names]
        joined.attrs = rows.attrs
        return joined

    def files(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Each image once, in the archive's order, by its number."""
        each = rows[[PLACE, FILE]].drop_duplicates().sort_values(PLACE).set_index(PLACE)
        return each.rename(columns={FILE: "file"}).assign(label="an image")

    def without(self, rows: pd.DataFrame, files: Collection[int]) -> pd.DataFrame:
        """The rows but for those of some images."""
        return rows[~rows[PLACE].isin(list(files))]

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with the pixels (S, S, C) of their images, under the column's own name.

        Raises:
            UserError: a file cannot be used.
        """
        if not self.photo:
            return rows
        pixels = self.photos.load(raw, self.files(rows))[self.photos.cell]
        of_rows = pd.Series([pixels[at] for at in rows[PLACE]], rows.index, dtype=object)
        return rows.assign(**{self.photo: of_rows})

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """As of a table, and the words of train; colours come with `fit_content`."""
        spec = super().fit(train)
        inputs = dict(spec.inputs) if spec.facts["columns"] else {}
        read, facts = read_as(train), dict(spec.facts)
        typed = {name: read.get(name) or Column.of_values(train[name]) for name in self.texts}
        facts["texts"] = {name: table_texts.described(column) for name, column in typed.items()}
        facts["length"] = self.length
        if self.texts:
            inputs |= self._tokens(train)
        if self.photo:
            of_image = self.photos
            shape = (of_image.channels, of_image.size, of_image.size)
            inputs["image"] = Field(shape, "uint8")
            said = f"names of images, which become {of_image.size} x {of_image.size} pixels"
            facts |= {"photo": {self.photo: {"kind": "image", "why": said}}}
            facts |= {"resize": of_image.resize, "max_pixels": of_image.max_pixels}
        return replace(spec, inputs=inputs, facts=facts)

    def _tokens(self, train: pd.DataFrame) -> dict[str, Field]:
        words = table_texts.words(train, self.texts, self.length)
        vocabulary = tokens.vocabulary(words, list, self.min_count)
        # each text, with its column's name before it where there are several
        most = len(self.texts) * (self.length + (len(self.texts) > 1))
        return {
            "tokens": Field((most,), "int64", vocabulary=vocabulary),
            "mask": Field((most,), "bool"),
        }

    def fit_content(self, spec: DataSpec, train: Iterator[pd.DataFrame]) -> DataSpec:
        """The mean and deviation of each channel in train, where there are images."""
        if not self.photo:
            return spec
        return self.photos.fit_content(spec, map(self._as_image, train))

    def sketch(self, rows: pd.DataFrame) -> Array | None:
        """Of each row its image in 256 levels of grey, (B, 256)."""
        return self.photos.sketch(self._as_image(rows)) if self.photo else None

    def key(self, rows: pd.DataFrame) -> list[bytes] | None:
        """The inputs of each row as bytes: of a text its words, as the network sees it."""
        seen = {
            name: rows[name].map(lambda text: " ".join(tokens.words(text))) for name in self.texts
        }
        if self.photo:
            seen[self.photo] = rows[self.photo].map(
                lambda pixels: digests.of_bytes(pixels.tobytes()).hex()
            )
        return super().key(rows.assign(**seen))

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`numbers` (B, F), `tokens` and `mask` (B, T), `image` (B, C, S, S), as the spec has them.

        Raises:
            UserError: a column of train is missing, or cells cannot be used; they are listed.
        """
        facts = spec.facts
        rows = rows.rename(columns=lambda name: normal(str(name)))
        check_columns(rows, [*facts["columns"], *facts["texts"], *facts.get("photo", {})])
        arrays = Table.encode(rows, spec) if facts["columns"] else {}
        if facts["texts"]:
            given = table_texts.read(rows, facts["texts"])
            words = table_texts.words(given, facts["texts"], facts["length"])
            arrays |= tokens.encode(words, list, spec.inputs["tokens"])
        for name in facts.get("photo", {}):
            arrays["image"] = images.encoded(rows[name], spec)
        return arrays

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """What a table shows of `row`, its texts as they were written, and the image (C, S, S)."""
        shown_of_table = Table.show(sample, row, spec)
        texts = {name: str(row[name]) or "(missing)" for name in spec.facts["texts"]}
        lines = [f"{name}: {text}" for name, text in texts.items()]
        text = "\n".join(lines if len(texts) > 1 else texts.values()) or None
        if "image" not in sample:
            return replace(shown_of_table, text=text)
        picture = images.packed(sample["image"].transpose(1, 2, 0), "JPEG")
        return replace(shown_of_table, text=text, picture=picture, picture_format="jpeg")

    def sent(self, rows: pd.DataFrame) -> pd.DataFrame:
        """As of a table, images as PNG in base64."""
        given = rows.drop(columns=[self.label, *self.hidden], errors="ignore")
        if self.photo:
            files = [images.packed(image, "PNG") for image in given[self.photo]]
            given = given.assign(**{self.photo: files})
        return arrays_as_lists(given)

    @classmethod
    def column_of_files(cls, spec: DataSpec) -> str | None:
        """The column that named images in training, where one did."""
        return next(iter(spec.facts.get("photo", {})), None)

    @classmethod
    def check_name(cls, name: str, content: bytes) -> None:
        """As of a folder of images."""
        Photos.check_name(name, content)

    @staticmethod
    def columns_read(spec: DataSpec) -> list[ColumnRead]:
        """What each column was read as, as of a table."""
        others = spec.facts["texts"] | spec.facts.get("photo", {})
        more = [ColumnRead(name, facts["kind"], facts["why"]) for name, facts in others.items()]
        return more + Table.columns_read(spec)

    def _numbers(self, rows: pd.DataFrame) -> list[str]:
        return [name for name in self._inputs(rows) if name not in (*self.texts, self.photo)]

    def _inputs(self, rows: pd.DataFrame) -> list[str]:
        return [name for name in super()._inputs(rows) if name not in self.hidden]

    def _as_image(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The column of images alone, under the name that `Images` knows."""
        return rows[[self.photo]].set_axis([self.photos.cell], axis=1)

    def _decided(self, cells: pd.Series[Any]) -> Column:
        column = super()._decided(cells)
        if cells.name not in self.texts:
            return column
        present = cells[cells != ""]
        words = present.map(lambda text: len(text.split())).mean()
        said = f"{present.nunique():,} different texts of {words:.1f} words on average"
        said += table_texts.said_of_tokens(cells)
        more = column.why.removeprefix(override(str(cells.name), "category"))
        return replace(column, why=f"{said}, of which the first {self.length} are read{more}")

    def _advice(self, faults: Faults) -> str:
        # nothing stands for an image that is not there
        return "" if self.photo in faults.columns else super()._advice(faults)


def _missing_in(asked: MissingIn, photo: str | None) -> MissingIn:
    """What is said of single columns: nothing stands for an image that is not there."""
    return {**asked, **({photo: "refuse"} if photo else {})}


def _looked_into(
    columns: Mapping[str, str], sources: Mapping[str, Source]
) -> tuple[list[str], str]:
    """The columns of texts, and the one that names images, empty where there is none.

    Raises:
        UserError: there is neither, which a table alone would read, or `_photo` refuses them.
    """
    # a mapping comes back from DVC in another order
    texts = sorted(normal(name) for name, how in columns.items() if how == "text")
    photo = _photo(columns, sources)
    if not texts and not photo:
        raise UserError(
            "data.columns names no text and no image, such as {note: text, photo: image}; "
            "numbers and categories alone are read by data=table"
        )
    return texts, photo


def _of_table(columns: Mapping[str, str]) -> dict[str, str]:
    """What a table is told of its columns: texts, and names of images, are texts to it."""
    as_texts = ("text", "image")
    return {name: "category" if how in as_texts else how for name, how in columns.items()}


def _photo(columns: Mapping[str, str], sources: Mapping[str, Source]) -> str:
    """The column that names images; empty where there is none.

    Raises:
        UserError: there are several, or the images are not named, or named without a column.
    """
    names = sorted(normal(name) for name, how in columns.items() if how == "image")
    if len(names) > 1:
        first, *others = names
        raise UserError(
            f"data.columns names {len(names)} columns of images, {', '.join(names)}; a row has "
            f"one: drop the others, data.drop=[{','.join(others)}], and leave {first}"
        )
    if names and "files" not in sources:
        raise UserError(
            f"{override(names[0], 'image')} names images; say where they are: data.sources.files, "
            "a folder or file with its sha256"
        )
    if "files" in sources and not names:
        raise UserError(
            "data.sources.files holds images that no column names; data.columns says which: "
            "{photo: image}"
        )
    return names[0] if names else ""

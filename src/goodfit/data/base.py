"""What a data set says about itself; splitting, packing and checking are then the same for all.

Letters: N rows of a table, B rows that are encoded together, C channels, H height, W width.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import split
from goodfit.data.faults import shown
from goodfit.data.spill import Spill
from goodfit.errors import UserError
from goodfit.records import ColumnRead, Exhibit, Finding
from goodfit.schema import Equal, Fraction, Source, Whole
from goodfit.system.units import counted

Array = np.ndarray[Any, Any]
CLASSES = ("class", "ordered")  # kinds whose target is one of the labels
Encoded = Array | list[Array]  # of B rows: (B, ...), or B arrays where samples are ragged


class DataSet(ABC):
    """Raw files, read into a table with one row for each sample, and encoded into arrays.

    `sources` names the raw files that `read` needs, `may_read` those that it takes where they are
    given; `origins` has where each comes from.
    `inputs` are the names that `encode` gives, and so the arguments of the networks that fit;
    `may_give` those that it gives where the data have them, and which the spec then names;
    `targets` those that `encode_targets` gives, and so the arguments of the loss. `kind` is the
    meaning of the targets, as in `DataSpec`. Cells of the table may be arrays (a picture, a
    window). What is too large for a table of all samples is left out by `read` and added by `load`,
    to `chunk` rows at a time. A subclass whose rule of splitting has options takes them in its
    `__init__`.
    """

    sources: ClassVar[tuple[str, ...]]
    may_read: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]]
    may_give: ClassVar[tuple[str, ...]] = ()
    equal_rows: Equal = "together"
    targets: ClassVar[tuple[str, ...]] = ("target",)
    kind: ClassVar[str]
    modality: ClassVar[str]  # of the inputs, for a reader: image, text, series, table
    rule: ClassVar[str]  # of the split, for a reader
    label: ClassVar[str] = "label"  # the column of the target
    cluster: ClassVar[str] = "sample"  # what `clusters` numbers, for a reader: film, patient, week
    chunk: ClassVar[int] = 1024  # rows that are loaded and encoded together
    # columns that would tell the target: no reader and no baseline is shown them
    hidden: ClassVar[tuple[str, ...]] = ()
    # it reads anybody's file, so what its module says is nothing about these data
    generic: ClassVar[bool] = False
    # `encode` takes a cell however programs read it: "3", 3 and 3.0
    takes_any_cell: ClassVar[bool] = False
    # a caller's row is a sample; where it is not, `received` makes samples of rows
    row_is_sample: ClassVar[bool] = True
    # the split is by time: train is the past, and what is later is held out
    in_time: bool = False
    split_seed: int = 0  # of what is drawn at random for the split and for folds
    # the column whose value samples share that a caller can send together; None: any can be
    together: ClassVar[str | None] = None

    def __init__(
        self, *, sources: Mapping[str, Source], test: Fraction, validation: Fraction
    ) -> None:
        self.origins = dict(sources)
        self.test, self.validation = test, validation
        self.spill = Spill()  # where large columns that `read` gives may lie; prepare says so

    @abstractmethod
    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """The validated rows of the raw files, which `raw` has by the names of `sources`.

        Raises:
            UserError: a file has faults; the message lists them.
        """

    def load(self, raw: Mapping[str, Path], rows: pd.DataFrame) -> pd.DataFrame:
        """Some of the rows that `read` gave, with all of their content; by default as they are.

        Raises:
            UserError: the raw file lacks what a row names, or it cannot be decoded.
        """
        return rows

    @property
    def decoder(self) -> DataSet | None:
        """What decodes the files that rows name, once for each and in parallel; none by default."""
        return None

    def files(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The files of rows, in the decoder's order, with `file` and `label`: by default the rows.

        The index of a file is the number by which `without` knows it.
        """
        return rows

    def without(self, rows: pd.DataFrame, files: Collection[int]) -> pd.DataFrame:
        """The rows but for those of some files, by their numbers; they keep their own."""
        return rows.drop(index=list(files))

    def at_once(self, rows: pd.DataFrame) -> int:
        """How many of the rows (N,) are loaded and encoded together."""
        return self.chunk

    @abstractmethod
    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The name of each row's split, (N,); `split.NO_SPLIT` for a row that belongs to none.

        Rows with the same number in `duplicate_group` (N,) hold equal inputs: one of them in train
        and another in test would be a leak, so all of them are in the same split.
        """

    def with_shares(self, test: float, validation: float) -> Self:
        """The same data set with other shares of its splits."""
        other = copy.copy(self)
        other.test, other.validation = test, validation
        return other

    def units(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """What no fold of a cross-validation divides, (N,): clusters, and rows of equal inputs."""
        return split.joined(self.clusters(rows), duplicate_group)

    def strata(self, rows: pd.DataFrame) -> Array:
        """What folds keep in proportion, (N,): by default the classes, where there are any."""
        if self.kind not in CLASSES:
            return np.zeros(len(rows), int)
        return pd.factorize(rows[self.label].astype(str), sort=True)[0]

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The cluster of each row, (N,), equal for rows that depend on each other.

        Intervals come from test sets in which whole clusters are drawn: of 35 snippets about one
        film the second tells less than the first. By default each row is a cluster.
        """
        return np.arange(len(rows))

    def sample_weight(self, rows: pd.DataFrame) -> Array:
        """How much each row counts, (N,), from 0 on; by default all count alike.

        It is asked for where `DataSpec.weighed_by` names what says so.
        """
        return np.ones(len(rows))

    @classmethod
    def cluster_of(cls, spec: DataSpec) -> str:
        """What `clusters` numbers, for a reader; a table of anybody's has it in its spec."""
        return cls.cluster

    @abstractmethod
    def fit(self, train: pd.DataFrame) -> DataSpec:
        """All that must be learned from train alone: labels, vocabulary, means.

        From the rows that `read` gave; see `fit_content`.
        """

    def fit_content(self, spec: DataSpec, train: Iterator[pd.DataFrame]) -> DataSpec:
        """The spec with what only the content of the rows tells: by default nothing is added.

        `train` are the loaded rows of train, chunk by chunk: means of pixels need one pass.
        """
        return spec

    @staticmethod
    @abstractmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> Mapping[str, Encoded]:
        """Raw rows to a network's inputs, each of shape (B, *spec.inputs[name].shape).

        Where that is ragged, a list of B arrays. It needs no target, and a row's arrays do not
        depend on the other rows: a served model encodes with it, too.

        Raises:
            UserError: a column is missing, or holds what cannot be encoded.
        """

    def encode_chunk(
        self, raw: Mapping[str, Path], rows: pd.DataFrame, spec: DataSpec
    ) -> dict[str, Encoded]:
        """Inputs and targets (B, ...) of some of the rows that `read` gave."""
        loaded = self.load(raw, rows)
        return {**self.encode(loaded, spec), **self.encode_targets(loaded, spec)}

    @staticmethod
    @abstractmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """One sample's inputs for a reader.

        `sample` holds its arrays without the first dimension, so an image is (C, H, W); `row` its
        cells that are no arrays, and not the target.
        """

    def example(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Three samples as a caller would send them, without target: the registry shows them."""
        return self.sent(self.first(rows))

    def first(self, rows: pd.DataFrame) -> pd.DataFrame:
        """A few rows that a caller can send together: by default the first three."""
        return rows.head(3)

    def sent(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Loaded rows, which can be sent together, as a caller would send them."""
        return arrays_as_lists(rows.drop(columns=[self.label, *self.targets], errors="ignore"))

    @staticmethod
    def received(rows: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
        """What a caller sent as rows that `encode` takes: by default it is that.

        Raises:
            UserError: a column is missing, or holds what cannot be used.
        """
        return rows

    @classmethod
    def column_of_files(cls, spec: DataSpec) -> str | None:
        """The column of a caller's rows that holds the bytes of files; None where there is none."""
        return None

    @classmethod
    def check_name(cls, name: str, content: bytes) -> None:
        """The bytes of a file are what its name says: by default nothing is known of them.

        Raises:
            UserError: what is wrong with the file.
        """
        return

    @staticmethod
    def given(rows: pd.DataFrame, answers: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
        """Answers to rows (N,) that were `received`, as a caller gets them: by default one each."""
        return answers

    @staticmethod
    def apart(rows: pd.DataFrame, spec: DataSpec) -> Iterator[pd.DataFrame]:
        """Parts of a caller's rows of which each can be refused without the others."""
        yield rows

    @staticmethod
    def columns_read(spec: DataSpec) -> Sequence[ColumnRead]:
        """How the columns of somebody's table were understood; none where that is known before."""
        return ()

    def findings(self, rows: pd.DataFrame, names: Array) -> Sequence[Finding]:
        """What makes a score mislead in rows whose splits are `names` (N,); nothing by default."""
        return ()

    def counts(self, rows: pd.DataFrame) -> dict[str, int]:
        """The number of rows of each class, or of all where there are no classes."""
        if self.kind not in CLASSES:
            return {"samples": len(rows)}
        counts = rows[self.label].astype(str).value_counts()
        return {str(label): int(counts[label]) for label in sorted(counts.index)}

    def missing_cells(self, rows: pd.DataFrame) -> dict[str, int]:
        """How many cells of each input's column are missing, of those that lack any."""
        return {}

    def key(self, rows: pd.DataFrame) -> list[bytes] | None:
        """The inputs of each loaded row as bytes, equal for duplicates.

        None where rows overlap by design, as windows of a series do.
        """
        inputs = rows[[column for column in rows.columns if column != self.label]]
        keys = []
        for row in inputs.itertuples(index=False, name=None):
            # by `repr`, which tells a number from a text that looks like it
            keys.append(repr([_comparable(value) for value in row]).encode())
        return keys

    def sketch(self, rows: pd.DataFrame) -> Array | None:
        """A sketch (B, P) of each loaded row, by which near copies are known (`near_copies`).

        None by default: what is nearly the same is not known of all data.
        """
        return None

    def encode_targets(self, rows: pd.DataFrame, spec: DataSpec) -> Mapping[str, Encoded]:
        """Targets by name, each of shape (B, *spec.targets[name].shape), or a list where ragged.

        By default the one column `label` gives the one target.

        Raises:
            UserError: a label never occurs in train, so no network could learn it.
        """
        if self.kind not in CLASSES:
            values = np.stack(list(rows[self.label]))
            return {"target": values.astype(spec.targets["target"].dtype)}

        codes = {label: code for code, label in enumerate(spec.labels)}
        labels = rows[self.label].astype(str)
        places, different = pd.factorize(labels, use_na_sentinel=False)
        known = np.array([codes.get(label, -1) for label in different], np.int64)[places]
        if (known < 0).any():
            unseen = labels[known < 0].value_counts()
            listed = ", ".join(
                f"'{label}' ({counted(count, 'row')})" for label, count in unseen.items()
            )
            of_train = ", ".join(spec.labels)
            raise UserError(f"labels {listed} never occur in train; known: {of_train}")
        return {"target": known}


class StratifiedDataSet(DataSet):
    """Rows are independent: they are split at random, stratified by the target."""

    rule = "at random, each label in the same proportion on every side"

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation)
        self.split_seed = split_seed

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """The name of each row's split, (N,): a function of the rows and `split_seed`.

        Raises:
            UserError: the shares leave a split without rows.
        """
        return split.stratified(
            self.strata(rows),
            self.test,
            self.validation,
            self.split_seed,
            duplicate_group=duplicate_group,
        )

    def strata(self, rows: pd.DataFrame) -> Array:
        """The stratum of each row, (N,): its class, or of a number its decile.

        Each split then covers the whole range.
        """
        target = rows[self.label]
        if self.kind in ("number", "count"):
            target = target.rank(pct=True).mul(10).astype(int).clip(upper=9)
        # by their place in the alphabet: a million texts take a second to compare
        return pd.factorize(target.astype(str), sort=True)[0]


def check_columns(rows: pd.DataFrame, expected: Collection[str]) -> None:
    """The rows have the columns that their encoding needs, each once.

    Raises:
        UserError: one or more are missing, or there twice.
    """
    twice = rows.columns[rows.columns.duplicated()].intersection(list(expected))
    if len(twice):
        raise UserError(f"column '{twice[0]}' is there twice; give it once")
    missing = [name for name in expected if name not in rows.columns]
    if missing:
        if len(missing) < len(expected):
            raise UserError(f"columns {missing} are missing; expected {list(expected)}")
        got = shown([str(name) for name in rows.columns])
        raise UserError(f"columns {missing} are missing; got {got}")


def class_labels(train: pd.DataFrame, column: str = "label") -> tuple[str, ...]:
    """The sorted names of the classes in train.

    Raises:
        UserError: there are fewer than two, so there is nothing to tell apart.
    """
    labels = tuple(sorted(train[column].astype(str).unique()))
    if len(labels) < 2:
        listed = ", ".join(labels) or "(no rows)"
        raise UserError(f"train has a single class {listed}: nothing to learn")
    return labels


def arrays_as_lists(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with arrays in their cells as lists, which JSON and MLflow's signatures know."""
    return rows.map(_as_list)


def _as_list(cell: Any) -> Any:
    """A cell without arrays: of Arrow, a picture is an array of arrays of arrays."""
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    return [_as_list(part) for part in cell] if isinstance(cell, list) else cell


def _comparable(value: Any) -> Any:
    """A value with a `repr` of its own: that of a large array leaves numbers out."""
    if not isinstance(value, np.ndarray):
        return value
    # its bytes would be written out with four letters each
    return value.shape, hashlib.sha256(value.tobytes()).digest()

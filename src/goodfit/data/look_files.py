"""A look at somebody's files before anything is made of them: what they are, how large, which are
broken. A few are opened, all are counted by their names.

Letters: N files.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import columns, evidence, skew
from goodfit.data.base import Array
from goodfit.data.file_rows import ARCHIVES
from goodfit.data.files import FileDataSet, copies, visible
from goodfit.data.images import Images
from goodfit.data.look import Kind
from goodfit.data.named_images import NamedImages
from goodfit.data.named_sounds import NamedSounds
from goodfit.data.sounds import Sounds
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.system import archive, folder
from goodfit.system.units import counted

# by their names in conf/data
DATA_SETS: Mapping[str, type[FileDataSet]] = {
    "images": Images,
    "sounds": Sounds,
    "named_images": NamedImages,
    "named_sounds": NamedSounds,
}
# what a table's column of files is called on a command line, and what reads them
NAMED = {"image": "named_images", "sound": "named_sounds"}
_SMALL = 20_000_000  # bytes of all files: they are opened in seconds
_OPENED = 120  # files, where they are larger
_FEW = 20  # files of a class
_UNEVEN = 5  # times as many files as another class
_LISTED = 3
_FORMS, _TELLING = 20, 0.9  # different endings or sizes, at most; classes that they tell
_TABLES = (".csv", ".tsv", ".xlsx", ".parquet")
# what programs put behind the name of a copy
_COPY = re.compile(r"( ?\(\d+\)| - Copy| copy|_copy)( ?\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Opened:
    """What was found out about files by opening some: measures, and problems, by their names."""

    measures: dict[str, tuple[float, ...]]
    problems: dict[str, str]

    @property
    def count(self) -> int:
        """How many were opened."""
        return len(self.measures.keys() | self.problems.keys())


def is_of_files(path: Path) -> bool:
    """Whether a source is a folder, or an archive by its name, and no file of rows."""
    return path.is_dir() or path.name.lower().endswith(ARCHIVES)


def names(path: Path) -> list[str]:
    """The names of all files of a folder or an archive, without hidden ones.

    Raises:
        UserError: there is none, it cannot be read, or links lead out of it.
    """
    if path.is_dir():
        found = [name for name, _ in folder.files(path)]
        if not found:
            raise UserError(f"{path} holds no files; expected a sub-folder for each class")
        return found
    return visible(path.name, archive.file_names(path))


def by_kind(files: Sequence[str]) -> dict[str, int]:
    """How many files are images and sounds by their endings, and how many others, of kind ""."""
    kinds: dict[str, str] = {}
    for kind in ("images", "sounds"):
        kinds |= dict.fromkeys(_endings(DATA_SETS[kind]), kind)
    return dict(Counter(kinds.get(PurePosixPath(name).suffix.lower(), "") for name in files))


def choice(path: Path, files: Sequence[str], asked: str | None) -> str:
    """Of conf/data, by the endings of the files, or as `asked`.

    Raises:
        UserError: they are of both kinds, or of none.
    """
    counts = by_kind(files)
    if asked is not None:
        if asked not in ("images", "sounds"):
            raise UserError(f"data={asked}: {path} holds files; expected images or sounds")
        return asked
    images, sounds = counts.get("images", 0), counts.get("sounds", 0)
    if images and sounds:
        raise UserError(
            f"{path} holds {images:,} images and {sounds:,} sounds; move one kind into a folder of "
            "its own, or choose data=images or data=sounds, with faults=quarantine and most_faults "
            "as large as the share of the others"
        )
    if not images and not sounds:
        known = " ".join(sorted(_endings(Images) | _endings(Sounds)))
        some = ", ".join(f"'{name}'" for name in files[:3])
        raise UserError(f"{path} holds no image and no sound ({known}), but {some}")
    return "images" if images else "sounds"


def check_classes(path: Path, labels: Sequence[str], files: Sequence[str]) -> None:
    """The folders of files (N,) are two classes or more.

    Raises:
        UserError: they are not.
    """
    classes = sorted(set(labels) - {""})
    if len(classes) > 1:
        return
    tables = [name for name in files if name.lower().endswith(_TABLES)]
    where, table = shlex.quote(f"folder={path}"), "source=<table>"
    if tables and path.is_dir():
        table = shlex.quote(f"source={path / tables[0]}")
    has = f"one sub-folder alone, '{classes[0]}'" if classes else "no sub-folders"
    raise UserError(
        f"{path} has {counted(len(labels), 'file')} and {has}, so nothing tells classes apart; put "
        f"each class into a sub-folder of its own, or name a table of the files: {table} "
        f"image=<column> target=<column> {where} (sound= for sounds)"
    )


def check_left(path: Path, rows: pd.DataFrame, faulty: Mapping[str, str]) -> pd.DataFrame:
    """The files (N,) without the faulty ones, which leave two targets at least.

    Raises:
        UserError: they do not.
    """
    good = rows[~rows["file"].isin(list(faulty)) & (rows["label"] != "")]
    if good["label"].nunique() < 2:
        name, problem = next(iter(faulty.items()), ("", "the same target for all"))
        raise UserError(
            f"{path}: without files that cannot be used, there are not two targets to tell apart: "
            f"{name} {problem}"
        )
    return good


def opened(data: FileDataSet, path: Path, some: list[str]) -> Opened:
    """What is known of some files, which stand in the order of `names`; each is decoded, too."""
    measures: dict[str, tuple[float, ...]] = {}
    problems: dict[str, str] = {}
    for name, content in _contents(path, some):
        try:
            measures[name] = data.measured(content)
            data.examined(name, content)
        except UserError as error:
            problems[name] = str(error) if content else "is empty"
    return Opened(measures, problems)


def sample(path: Path, rows: pd.DataFrame) -> list[str]:
    """The names of all files (N,) where they are small; else of some, as many of each class.

    These are evenly spread.
    """
    if _bytes(path, rows["file"]) <= _SMALL:
        return list(rows["file"])
    groups = rows.groupby(_parts(rows), observed=True)["file"]
    each = max(_OPENED // groups.ngroups, 1)
    chosen: set[str] = set()
    for _, files in groups:
        places = np.linspace(0, len(files) - 1, min(each, len(files))).astype(int)
        chosen |= set(files.iloc[places])
    return [name for name in rows["file"] if name in chosen][: 4 * _OPENED]


def usable(path: Path, files: Opened) -> list[tuple[float, ...]]:
    """The measures of the files that were opened and can be used.

    Raises:
        UserError: there is none.
    """
    measures = [files.measures[name] for name in files.measures if name not in files.problems]
    if not measures:
        first, problem = next(iter(files.problems.items()))
        raise UserError(
            f"{path}: of {counted(files.count, 'file')} none can be used: {first} {problem}"
        )
    return measures


def data_set(choice: str, options: Mapping[str, Any]) -> FileDataSet:
    """The data set of a choice; it reads files one by one."""
    kind = DATA_SETS[choice]
    made = {name: Source(file=f"{name}.zip", sha256=None) for name in kind.sources}
    return kind(**{**options, "sources": made})


def kind_of_folders(labels: pd.Series[Any]) -> Kind:
    """What the folders of files (N,) are, and why; "" is a file outside of all."""
    counts = labels[labels != ""].value_counts()
    listed = ", ".join(f"{text} ({count:,})" for text, count in counts.head(4).items())
    more = ", ..." if len(counts) > 4 else ""
    share = float(counts.max() / counts.sum())
    return Kind("class", f"{len(counts)} sub-folders are classes: {listed}{more}", share)


def seen(data: FileDataSet, rows: pd.DataFrame, files: Opened) -> list[tuple[str, ...]]:
    """For each class of the files (N,): its name, how many, their endings, an example, sizes."""
    table: list[tuple[str, ...]] = []
    for label, group in rows.groupby(_parts(rows), observed=True):
        endings = Counter(PurePosixPath(name).suffix.lower() for name in group["file"])
        listed = [f"{ending or 'none'} ({count:,})" for ending, count in endings.most_common(3)]
        measured = [name for name in group["file"] if name in files.measures]
        sizes = data.described([files.measures[name] for name in measured]) if measured else ""
        good = [name for name in measured if name not in files.problems]
        example = [*good, group["file"].iloc[0]][0]
        table.append((str(label) or "(none)", f"{len(group):,}", ", ".join(listed), example, sizes))
    return table


def _parts(rows: pd.DataFrame) -> pd.Series[Any]:
    """The class of each file (N,), or of numbers the quarter in which it lies."""
    if not pd.api.types.is_float_dtype(rows["label"]):
        return rows["label"]
    borders = rows["label"].quantile([0, 0.25, 0.5, 0.75, 1]).tolist()
    place = np.searchsorted(borders[1:-1], rows["label"], side="right")
    named = [f"{borders[each]:.4g} to {borders[each + 1]:.4g}" for each in range(4)]
    parts = pd.Categorical([named[each] for each in place], list(dict.fromkeys(named)))
    return pd.Series(parts, rows.index)


def faults(
    data: FileDataSet, rows: pd.DataFrame, files: Opened, hashes: Mapping[str, str]
) -> dict[str, str]:
    """What prepare will say of files (N,), as far as it is known, by their names.

    `hashes` are of their contents, as far as those were read.
    """
    empty = hashlib.sha256().hexdigest()
    found: dict[str, str] = {}
    known = _endings(type(data))
    for name, label in zip(rows["file"], rows["label"], strict=True):
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in known:
            found[name] = f"ends with '{suffix}', as no {data.modality} does"
        elif label == "":
            found[name] = "lies in no sub-folder, so it has no class"
        elif hashes.get(name) == empty:
            found[name] = "is empty"
        elif name in files.problems:
            found[name] = files.problems[name]
    whole = rows[~rows["file"].isin(list(found))]
    digests = [hashes.get(name, name) for name in whole["file"]]
    found |= copies(whole.assign(digest=digests))
    return {name: found[name] for name in rows["file"] if name in found}


def notes(
    data: FileDataSet,
    good: pd.DataFrame,
    files: Opened,
    faulty: Mapping[str, str],
    splits: Array,
    options: Mapping[str, Any],
) -> list[str]:
    """What should be known before a score is believed, of good files (N,) in their splits (N,)."""
    said = of_faults(faulty, len(good) + len(faulty), options)
    said += evidence.of_rows(data, good, splits, options, "file")
    if data.kind == "class":
        said += _of_classes(good["label"], splits)
        said += _of_outsides(data, good, files)
    if data.kind == "number":
        said += skew.noted(str(options["label"]), good["label"], splits)
    copies = _by_name(good["file"])
    if copies:
        copy, first = next(iter(copies.items()))
        alike = "a copy of another one" if len(copies) == 1 else "copies of others"
        said.append(
            f"{counted(len(copies), 'file')} may be {alike} by name, such as '{copy}' "
            f"of '{first}': equal ones are found, edited ones in train and test flatter"
        )
    return said


def _of_classes(labels: pd.Series[Any], splits: Array) -> list[str]:
    """What should be known of classes (N,) in their splits (N,): rare, few, called nearly alike."""
    counts, said = labels.value_counts(), []
    in_test = labels[splits == "test"].value_counts()
    for label, count in counts[counts < _FEW].items():
        said.append(
            f"'{label}' has {counted(count, 'file')}, of which test gets {in_test.get(label, 0)}: "
            "too few to tell anything about it"
        )
    if len(counts) > 1 and counts.iloc[0] > _UNEVEN * counts.iloc[-1]:
        share = counts.iloc[0] / counts.sum()
        said.append(
            f"'{counts.index[0]}' has {counts.iloc[0] / counts.iloc[-1]:.0f} times as many files "
            f"as '{counts.index[-1]}': always answering it has an accuracy of {share:.1%}"
        )
    for first, second, *_ in columns.alike(labels.value_counts().index):
        said.append(
            f"'{first}' and '{second}' differ in spelling alone: if they are one class, "
            "put them into one folder"
        )
    return said


def _of_outsides(data: FileDataSet, good: pd.DataFrame, files: Opened) -> list[str]:
    """What tells the class of good files (N,) though it is nothing that they show."""
    endings = good["file"].map(lambda name: PurePosixPath(name).suffix.lower())
    known = good["file"].isin(list(files.measures))
    # of images height and colour, of sounds the rate
    forms = good.loc[known, "file"].map(lambda name: files.measures[name][1:])
    said = []
    for what, values in (("endings", endings), (data.form, forms)):
        labels = good.loc[values.index, "label"]
        counts = pd.crosstab(values.map(str), labels)
        told = counts.max(axis=1).sum() / len(labels)
        always = counts.sum().max() / len(labels)
        if len(counts) <= _FORMS and told >= _TELLING and told > (1 + always) / 2:
            said.append(
                f"{what} of the files alone tell {told:.0%} of the classes: a network may learn "
                "what wrote the files instead of what is in them; write all alike"
            )
    return said


def of_faults(faulty: Mapping[str, str], count: int, options: Mapping[str, Any]) -> list[str]:
    """How many files cannot be used, and what answers that."""
    if not faulty:
        return []
    listed = "; ".join(f"{name} {problem}" for name, problem in list(faulty.items())[:_LISTED])
    more = f"; and {len(faulty) - _LISTED:,} more" if len(faulty) > _LISTED else ""
    share = len(faulty) / count
    needed = np.ceil(share * 100) / 100
    enough = f" most_faults={needed:g}" if share > options["most_faults"] else ""
    if options["faults"] == "fail":
        answer = f"prepare stops at them; mend or delete them, or faults=quarantine{enough}"
    else:
        answer = f"more are left out than allowed; choose{enough}" if enough else "left out"
    return [
        f"{len(faulty):,} of {counted(count, 'file')} cannot be used ({answer}): {listed}{more}"
    ]


def _by_name(files: pd.Series[Any]) -> dict[str, str]:
    """Files whose names say that they are copies of another one, which is there."""
    known, found = set(files), {}
    for name in files:
        path = PurePosixPath(name)
        first = str(path.with_stem(_COPY.sub("", path.stem) or path.stem))
        if first != name and first in known:
            found[name] = first
    return found


def _bytes(path: Path, files: pd.Series[Any]) -> int:
    """The size of an archive, or of all files (N,) of a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum((path / name).stat().st_size for name in files)


def _endings(kind: type[FileDataSet]) -> set[str]:
    return {ending for endings in kind.endings.values() for ending in endings}


def _contents(path: Path, some: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of some files; one is in memory at a time."""
    if not path.is_dir():
        yield from archive.some_members(path, some)
        return
    for name in some:
        try:
            yield name, (path / name).read_bytes()
        except OSError as error:
            raise UserError(f"{path / name} cannot be read: {error.strerror}") from None

"""Somebody's folder or archive of files as a command line names it, each sub-folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import RenderableType
from rich.markup import escape

from goodfit.data import look, look_files
from goodfit.data.files import of_folders
from goodfit.data.look import Kind
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.stages import own
from goodfit.stages.own import Looked, Parts
from goodfit.store.progress import Progress
from goodfit.system import folder
from goodfit.system.files import sha256
from goodfit.system.units import counted

_CNN, _HEARS = "convolutions on the pixels, from scratch", "convolutions on bands of the mel scale"
_PARTS = {
    # a class stays what it is where the image is turned a little; a number may not
    ("image", "class"): Parts(
        "cnn", "classification", ["svm", "hog"], _CNN, 3.0e-3, augment="affine"
    ),
    ("image", "number"): Parts("cnn", "regression", ["hog_ridge"], _CNN, 3.0e-3),
    ("sound", "class"): Parts(
        "sound_cnn", "classification", ["mean_spectrum", "mfcc_svm"], _HEARS, 3.0e-3
    ),
    ("sound", "number"): Parts("sound_cnn", "regression", ["mfcc_ridge"], _HEARS, 3.0e-3),
}
# up to so many files of train: files of a step, and epochs
_BY_FILES = ((1_000, (32, 40)), (10_000, (64, 25)), (None, (128, 15)))
# of all images of train; with more, a machine on pixels takes hours
_MOST_PIXELS = 50_000_000


class OwnFiles(NamedTuple):
    """Files (N rows) of a folder or an archive, and what is to be told of their targets.

    `given` are options of the data set that somebody named, `sources` what pins its raw files.
    """

    choice: str
    path: Path
    rows: pd.DataFrame
    kind: Kind
    given: dict[str, Any]
    sources: dict[str, Any]
    about: str


def looked(name: str, content: dict[str, Any], here: Path, usage: str) -> Looked:
    """A look at a folder or an archive with a sub-folder for each class.

    Raises:
        UserError: it cannot be read, or leaves something open.
    """
    path, rest = own.found(content, here, usage), dict(content)
    rest.pop("source")
    if "target" in rest:
        kinds = look_files.by_kind(look_files.names(path))
        if not path.is_dir() and set(kinds) == {""}:
            raise UserError(f"source: {path} is an archive; unpack the table that it holds")
        raise UserError(
            f"source: {path} is a folder or an archive, whose sub-folders are the classes; leave "
            "target= out, or name a table of the files: source=<table> image=<column>"
        )
    names = look_files.names(path)
    choice = look_files.choice(path, names, rest.pop("data", None))
    own.check_known(choice, rest, [], usage)
    rows = of_folders(path.name, names)
    look_files.check_classes(path, list(rows["label"]), names)
    kind = look_files.kind_of_folders(rows["label"])
    classes = rows.loc[rows["label"] != "", "label"].nunique()
    about = f"{classes} classes of {choice} in {path.name}."
    return told(name, OwnFiles(choice, path, rows, kind, rest, {}, about))


def told(name: str, files: OwnFiles) -> Looked:
    """Opens some of the files, pins all, and says what is made of them.

    Raises:
        UserError: none can be used, they are too few to split, or an option is of another type.
    """
    options = own.with_defaults(files.choice, files.given)
    data = look_files.data_set(files.choice, options)
    opened = look_files.opened(data, files.path, look_files.sample(files.path, files.rows))
    measures = look_files.usable(files.path, opened)
    suited = data.suited(measures)
    chosen = files.given | suited | files.given
    data = look_files.data_set(files.choice, options | chosen)
    source, hashes = pinned(files.path)

    faulty = look_files.faults(data, files.rows, opened, hashes)
    good = look_files.check_left(files.path, files.rows, faulty)
    splits = data.split(good, np.arange(len(good)))
    counts = {split: int((splits == split).sum()) for split in SPLITS}
    parts, left_out = _fitting(files, counts["train"], options | chosen)
    lengths = next(values for most, values in _BY_FILES if most is None or counts["train"] <= most)
    options |= chosen
    some = "all" if opened.count == len(files.rows) else f"{opened.count:,}"
    others = ", ".join(f"{key}=..." for key in suited)
    score = {"task": {"score": own.UNFLATTERED}} if look.flatters(files.kind) else {}
    pins = {"sources": files.sources | {"files": source}}
    return Looked(
        _printed(files, look_files.seen(data, files.rows, opened)),
        [
            f"[bold]files[/]   {counted(len(files.rows), 'file')}, of which {some} were opened",
            f"[bold]input[/]   {escape(data.becomes(measures, options))}; others: {others}",
            *own.explained(parts, files.kind.why, data.rule, counts),
            *own.weighed(files.given.get("weight"), good, splits),
        ],
        look_files.notes(data, good, opened, faulty, splits, options) + left_out,
        own.experiment(name, files.about, parts, files.choice, pins | chosen, lengths, **score),
    )


def _printed(files: OwnFiles, rows: Sequence[Sequence[str]]) -> RenderableType:
    """One row for each class, or for each quarter of a number."""
    first = "class" if files.kind.most else "target"
    return own.printed((first, "files", "endings", "example", "sizes"), rows, [])


def pinned(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What pins a folder or an archive, and of a folder the hash of each file, by its name.

    All files of the folder count, as fetch packs them all.
    """
    if not path.is_dir():
        return own.pinned(path), {}
    files = folder.files(path)
    progress, hashes = Progress(f"reading {path}", len(files), "file"), {}
    for done, (name, file) in enumerate(files, 1):
        hashes[name] = sha256(file)
        progress.show(done)
    return {"folder": own.place(path), "sha256": folder.digest(iter(hashes.items()))}, hashes


def _fitting(files: OwnFiles, train: int, options: Mapping[str, Any]) -> tuple[Parts, list[str]]:
    """The parts for files and target, and what is said of one that is left out."""
    parts = _PARTS[look_files.DATA_SETS[files.choice].modality, files.kind.kind]
    pixels = options.get("size", 0) ** 2 * options.get("channels", 0)
    if train * pixels <= _MOST_PIXELS or len(parts.baselines) == 1:
        return parts, []
    slow, *others = parts.baselines
    said = f"baseline {slow} is left out: on {train:,} files of {pixels:,} numbers it takes hours"
    return parts._replace(baselines=others), [said]

"""Samples of different lengths: packed one after the other, padded only in a batch."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from pathlib import Path

import lines
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from goodfit.contract import DataSpec, Field
from goodfit.data.base import Encoded
from goodfit.errors import UserError
from goodfit.store.arrays import Packed, collate
from goodfit.store.loader import Batches, Shard
from goodfit.store.mapped import read_arrays
from goodfit.store.pack import pack
from goodfit.store.prepare import assign_splits, prepare
from goodfit.store.ragged import MOST_PADDED, Ragged
from goodfit.system.files import read_json
from goodfit.training.datamodule import DataModule

LENGTHS = [3, 1, 4, 1, 5, 2]


def samples(*shape: int) -> list[Tensor]:
    """Samples of the lengths above, of numbers that all differ."""
    made, first = [], 1
    for length in LENGTHS:
        size = int(np.prod((length, *shape)))
        made.append(torch.arange(first, first + size).reshape(length, *shape))
        first += size
    return made


def packed(parts: list[Tensor], fill: float = -7) -> Ragged:
    """The samples as prepare writes them."""
    padding = torch.full((max(LENGTHS), *parts[0].shape[1:]), -99)
    offsets = torch.tensor([0, *np.cumsum(LENGTHS)])
    return Ragged(torch.cat([*parts, padding]), offsets, fill)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("rows", [[0], [5, 0, 3], [1, 3], [2, 2, 4], list(range(6))])
@pytest.mark.parametrize("most_padded", [0, MOST_PADDED])
def test_a_batch_is_what_padding_each_sample_gives(
    shape: tuple[int, ...], rows: list[int], most_padded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodfit.store.ragged.MOST_PADDED", most_padded)
    parts = samples(*shape)
    padded, lengths = packed(parts).gather(torch.tensor(rows))
    expected = pad_sequence([parts[row] for row in rows], batch_first=True, padding_value=-7)
    assert torch.equal(padded, expected)
    assert lengths.tolist() == [LENGTHS[row] for row in rows]
    assert padded.is_contiguous()


@pytest.mark.parametrize(("most_padded", "copied"), [(240, True), (239, False)])
def test_samples_are_kept_padded_up_to_a_bound(
    most_padded: int, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six samples of up to five numbers of eight bytes: 240 bytes beside values and offsets."""
    monkeypatch.setattr("goodfit.store.ragged.MOST_PADDED", most_padded)
    ragged = packed(samples())
    assert ragged.nbytes == (16 + 5 + 7) * 8 + 240 * copied

    rows = torch.tensor([0, 1])
    before, _ = ragged.gather(rows)
    ragged.values.zero_()
    assert torch.equal(ragged.gather(rows)[0], before) == copied


def test_a_batch_without_samples_has_no_elements() -> None:
    padded, lengths = packed(samples(2)).gather(torch.tensor([], dtype=torch.int64))
    assert padded.shape == (0, 0, 2)
    assert lengths.shape == (0,)


def test_writing_into_a_batch_leaves_the_samples_alone() -> None:
    ragged = packed(samples())
    before = ragged.values.clone()
    ragged.gather(torch.tensor([0, 1]))[0].zero_()
    assert torch.equal(ragged.values, before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(lines.lines(), lines.raw(tmp_path), tmp_path / "out", made_with={})
    return tmp_path / "out"


def raw_of(folder: Path) -> dict[str, Path]:
    """The raw file that `folder` fixture has made."""
    return {"lines": folder / "lines.txt"}


def texts(tmp_path: Path, folder: Path, split: str) -> list[str]:
    """The lines of a split, in its order, from the raw file."""

    numbers = pd.read_parquet(folder / split / "rows.parquet")["number"]
    written = (tmp_path / "lines.txt").read_text().splitlines()
    return [written[number] for number in numbers]


def test_what_was_prepared_comes_back(tmp_path: Path, folder: Path) -> None:
    for split in ("train", "validation", "test"):
        expected = texts(tmp_path, folder, split)
        batch = Packed(folder, split).batch(torch.arange(len(expected)))
        for row, line in enumerate(expected):
            length = int(batch.inputs["letters_length"][row])
            assert bytes(batch.inputs["letters"][row, :length].tolist()).decode() == line
            assert (batch.inputs["letters"][row, length:] == 0).all()
            assert batch.targets["text"][row, :length, 1].tolist() == list(range(length))
            assert (batch.targets["text"][row, length:] == -1).all()


def test_numpy_reads_the_same_samples(tmp_path: Path, folder: Path) -> None:
    spec = DataSpec.read(folder / "spec.json")
    letters = read_arrays(folder / "test", spec.inputs)["letters"]
    read = [bytes(sample.tolist()).decode() for sample in letters]
    assert read == texts(tmp_path, folder, "test")


def test_a_network_that_takes_no_lengths_gets_none(folder: Path) -> None:
    data = Packed(folder, "train")
    rows = torch.tensor([0, 1])
    assert set(data.only(["letters"]).batch(rows).inputs) == {"letters"}
    assert set(data.only(["letters_length"]).batch(rows).inputs) == {"letters_length"}
    assert set(data.only([]).batch(rows).inputs) == set()
    assert set(data.batch(rows).targets) == {"text", "text_length"}


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_the_files_do_not_depend_on_the_chunks(tmp_path: Path, folder: Path, chunk: int) -> None:
    again = prepare(lines.lines(chunk), raw_of(tmp_path), tmp_path / "again", made_with={})
    assert again.sha256 == read_json(folder / "manifest.json")["sha256"]


@pytest.mark.slow
def test_several_processes_write_what_one_writes(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodfit.store.pack.PATIENCE", 0)
    data, raw = lines.lines(3), raw_of(tmp_path)
    rows = data.read(raw)
    train = rows[assign_splits(data, raw, rows)[0] == "train"]
    spec = DataSpec.read(folder / "spec.json")
    pack(data, raw, train, spec, tmp_path / "train")
    for name in ("letters.npy", "letters.offsets.npy", "text.npy", "text.offsets.npy"):
        written = (tmp_path / "train" / name).read_bytes()
        assert written == (folder / "train" / name).read_bytes()


ENCODING = re.compile(r"encoding slow: (\d+) of 60 samples, (\d+) s left")


@pytest.mark.slow
def test_encoding_that_takes_long_says_how_far_it_is(
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("goodfit.store.pack.PATIENCE", math.inf)  # on a busy machine, too
    data, raw = lines.lines(1, lines.Slow), raw_of(tmp_path)
    rows, spec = data.read(raw), DataSpec.read(folder / "spec.json")
    started = time.monotonic()
    pack(data, raw, rows, spec, tmp_path / "slow")
    seconds = time.monotonic() - started

    (line,) = ENCODING.finditer(capsys.readouterr().out)
    done, left = int(line[1]), int(line[2])
    # six seconds in all: the first line after two, a second one would come after twelve
    assert 1 <= done <= 20
    assert left == pytest.approx(seconds - 2, rel=0.5, abs=1)

    data = lines.lines(1)
    pack(data, raw, rows, spec, tmp_path / "quick")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_encoding_in_processes_says_how_far_it_is(
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("goodfit.store.pack.PATIENCE", 0)
    monkeypatch.setattr("goodfit.store.progress.SECONDS_BETWEEN_LINES", 0.3)
    data, raw = lines.lines(1, lines.Slow), raw_of(tmp_path)
    pack(data, raw, data.read(raw), DataSpec.read(folder / "spec.json"), tmp_path / "slow")

    printed = capsys.readouterr().out
    assert printed.startswith("encoding 59 chunks in ")
    done = [int(line[1]) for line in ENCODING.finditer(printed)]
    assert len(done) >= 2
    assert done == sorted(set(done))


@pytest.mark.slow
def test_passes_before_the_encoding_say_how_far_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("goodfit.store.progress.SECONDS_BEFORE_FIRST_LINE", 0.2)
    data, raw = lines.lines(1, lines.Slow), lines.raw(tmp_path)
    prepare(data, raw, tmp_path / "slow", made_with={})
    passes = re.findall(r"^(.+): \d+ of \d+ samples, \d+ s left$", capsys.readouterr().out, re.M)
    assert passes[:3] == ["looking for equal inputs", "fitting to train", "encoding train"]


@pytest.mark.slow
def test_a_process_that_was_killed_is_said(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodfit.store.pack.PATIENCE", 0)
    data, raw = lines.lines(3, lines.Killed), raw_of(tmp_path)
    with pytest.raises(UserError, match=r"that encoded 3 samples of Killed was killed"):
        pack(data, raw, data.read(raw), DataSpec.read(folder / "spec.json"), tmp_path / "train")


def test_an_empty_input_is_refused(tmp_path: Path) -> None:
    class Empty(lines.Lines):
        @staticmethod
        def encode(rows: object, spec: DataSpec) -> dict[str, object]:  # type: ignore[override]
            arrays = lines.Lines.encode(rows, spec)["letters"]  # type: ignore[arg-type]
            return {"letters": [array[:0] for array in arrays]}

    with pytest.raises(UserError, match="letters of train holds a sample of length 0"):
        prepare(lines.lines(cls=Empty), lines.raw(tmp_path), tmp_path / "out", made_with={})


def test_an_empty_target_is_a_target() -> None:
    """A picture may have nothing in it."""
    fields = {"boxes": Field((None, 4), "float32")}
    batch = collate({"boxes": [np.zeros((0, 4), "f4"), np.ones((2, 4), "f4")]}, fields)
    assert batch["boxes"].shape == (2, 2, 4)
    assert batch["boxes_length"].tolist() == [0, 2]
    assert batch["boxes"][0].sum() == 0


def test_what_encode_gives_is_padded_as_what_was_packed(tmp_path: Path, folder: Path) -> None:

    spec = DataSpec.read(folder / "spec.json")
    rows = pd.DataFrame({"line": texts(tmp_path, folder, "test")})
    encoded = collate(lines.Lines.encode(rows, spec), spec.inputs)
    batch = Packed(folder, "test").batch(torch.arange(len(rows)))
    assert {name: array.tolist() for name, array in encoded.items()} == {
        name: array.tolist() for name, array in batch.inputs.items()
    }


def test_nothing_is_encoded_as_no_samples() -> None:
    batch = collate({"boxes": []}, {"boxes": Field((None, 4), "float32")})
    assert batch["boxes"].shape == (0, 0, 4)


def test_an_asset_lies_beside_the_spec_and_a_changed_one_is_refused(folder: Path) -> None:
    assert DataSpec.read(folder / "spec.json").assets == {"alphabet.txt": bytes(range(256))}
    (folder / "assets/alphabet.txt").write_bytes(b"another")
    with pytest.raises(UserError, match=r"alphabet.txt fails its checksum"):
        DataSpec.read(folder / "spec.json")
    (folder / "assets/alphabet.txt").unlink()
    with pytest.raises(UserError, match=r"alphabet.txt is missing"):
        DataSpec.read(folder / "spec.json")


def padding(data: Packed, batches: Batches) -> float:
    """Elements of an epoch's batches for each element of its samples."""
    held = sum(batch.inputs["letters"].numel() for batch in batches)
    assert data.lengths is not None
    return held / (float(data.lengths.sum()) / 2)  # the target is as long as the input


@pytest.fixture
def many(tmp_path: Path) -> Packed:
    raw = lines.raw(tmp_path, count=900)
    prepare(lines.lines(100), raw, tmp_path / "out", made_with={})
    return Packed(tmp_path / "out", "train")


def test_samples_of_similar_length_are_in_one_step(many: Packed) -> None:
    at_random = padding(many, Batches(many, 8))
    assert padding(many, Batches(many, 8, epoch=lambda: 0)) < 1.1 < 1.5 < at_random


def test_an_epoch_of_sorted_steps_holds_every_sample_and_changes(many: Packed) -> None:
    orders = []
    for epoch in (0, 0, 1):
        rows: list[int] = []
        for batch in Batches(many, 8, epoch=lambda epoch=epoch: epoch):  # type: ignore[misc]
            rows += batch.rows.tolist()
        assert sorted(rows) == list(range(len(many)))
        orders.append(rows)
    assert orders[0] == orders[1] != orders[2]


def test_short_samples_do_not_come_before_long_ones(many: Packed) -> None:
    batches = list(Batches(many, 8, epoch=lambda: 0))
    means = [float(batch.inputs["letters_length"].float().mean()) for batch in batches]
    order = np.corrcoef(np.arange(len(means)), means)[0, 1]
    assert abs(order) < 0.3


def mean_letter(targets: dict[str, Tensor]) -> float:
    """The mean over all letters of a batch."""
    letters = targets["text"][..., 0]
    return float(letters[letters >= 0].mean())


def test_parts_of_a_step_are_weighted_by_their_units(folder: Path) -> None:
    """The weighted mean of the parts' means is the mean over the units of the whole step."""
    parts = 3
    loaders = []
    for rank in range(parts):
        data = DataModule(
            folder,
            batch_size=9,
            seed=0,
            shard=Shard(rank, parts),
            units=lambda text, text_length: text_length,
        )
        loaders.append(data.train_dataloader())

    whole = Batches(Packed(folder, "train"), 9, epoch=lambda: 0)
    for step, *shared in zip(whole, *loaders, strict=True):
        weighted = sum(mean_letter(part.targets) * part.weight / parts for part in shared)
        assert weighted == pytest.approx(mean_letter(step.targets), rel=1e-6)


def test_equal_bytes_of_another_shape_are_another_sample(tmp_path: Path) -> None:
    """Two ragged inputs of one sample: where one ends and the other begins is part of it."""

    class Halves(lines.Lines):
        @staticmethod
        def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Encoded]:
            letters = [np.arange(4) for _ in rows["line"]]
            cuts = [1 + number % 3 for number in rows["number"]]
            pairs = list(zip(letters, cuts, strict=True))
            return {"a": [x[:cut] for x, cut in pairs], "b": [x[cut:] for x, cut in pairs]}

    data, raw = lines.lines(cls=Halves), lines.raw(tmp_path)
    rows = data.read(raw)
    spec = replace(data.fit(rows), inputs={name: Field((None,), "int64") for name in "ab"})
    digests = pack(data, raw, rows, spec, tmp_path / "train")
    assert len({digest.tobytes() for digest in digests}) == 3

"""A folder, an archive or a table of anybody's files becomes an experiment that says what it is."""

from __future__ import annotations

import shutil
import unicodedata
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_files import file_of, noise
from new_commands import New, caller, checker, project

from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.errors import UserError
from goodfit.system.files import sha256
from goodfit.system.folder import archive_digest, folder_digest, pack


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The repository's configuration, and 120 images of two classes beside it."""
    for number in range(120):
        folder = tmp_path / "my phötos" / ["cats", "dögs"][number % 3 == 0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"img {number:03}.png").write_bytes(file_of(noise(number)))
    return project(tmp_path)


@pytest.fixture
def make(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> New:
    return caller(home, home.parent, monkeypatch, capsys)


def photos(home: Path) -> Path:
    return home.parent / "my phötos"


def table(home: Path, **changes: list[str]) -> Path:
    """A table of all images, a number and a class for each, beside their folder."""
    names = sorted(str(path.relative_to(home.parent)) for path in photos(home).rglob("*.png"))
    depth = [f"{number / 7:.2f}" for number in range(len(names))]
    rows = {"path": names, "depth": depth, "kind": [f"k{place % 2}" for place in range(120)]}
    pd.DataFrame(rows | changes).to_csv(home.parent / "labels.csv", index=False)
    return home.parent / "labels.csv"


def test_a_folder_becomes_an_experiment_with_the_hash_that_fetch_wants(
    home: Path, make: New, tmp_path: Path
) -> None:
    printed = make("source=my phötos")
    cfg = compose(home, ["experiment=mine"])
    check(cfg)
    assert cfg.data.sources.files.folder == str(photos(home))
    assert cfg.data.sources.files.sha256 == folder_digest(photos(home))
    pack(photos(home), tmp_path / "packed.zip")
    assert archive_digest(tmp_path / "packed.zip") == cfg.data.sources.files.sha256
    assert (cfg.data.size, cfg.data.channels) == (16, 3)
    lines = [line.split() for line in printed.splitlines()]
    assert [
        "cats",
        "80",
        ".png",
        "(80)",
        "cats/img",
        "001.png",
        *["10", "x", "12,", "colour"],
    ] in lines
    assert "2 sub-folders are classes: cats (80), dögs (40)" in printed
    assert printed.endswith("added it to params.yaml\nnext: make repro ONLY=mine\n")


def test_an_archive_of_it_is_pinned_as_a_file(home: Path, make: New) -> None:
    shutil.make_archive(str(home.parent / "photos"), "zip", home.parent, "my phötos")
    make("source=photos.zip", "size=32")
    data = compose(home, ["experiment=mine"]).data
    assert data.sources.files.sha256 == sha256(home.parent / "photos.zip")
    assert data.size == 32


def test_files_that_prepare_would_refuse_are_told_before(home: Path, make: New) -> None:
    cats = photos(home) / "cats"
    (cats / "cut.png").write_bytes(file_of(noise(200))[:-60])
    (cats / "empty.png").write_bytes(b"")
    (cats / "list.txt").write_text("cats")
    (cats / "img 001 (1).png").write_bytes((cats / "img 001.png").read_bytes())
    (cats / "img 002 copy.png").write_bytes(file_of(noise(201)))
    printed = make("source=my phötos")
    assert (
        "4 of 125 files cannot be used (prepare stops at them; mend or delete them, or " in printed
    )
    assert "faults=quarantine most_faults=0.04)" in printed
    assert "cats/cut.png cannot be decoded" in printed
    assert "such as 'cats/img 002 copy.png' of 'cats/img 002.png'" in printed
    make("source=my phötos", "faults=quarantine", "most_faults=0.04", "replace=true")
    data = yaml.safe_load((home / "conf/experiment/mine.yaml").read_text())["data"]
    assert (data["faults"], data["most_faults"]) == ("quarantine", 0.04)


def test_sizes_that_tell_the_class_few_files_and_alike_classes_are_noted(
    home: Path, make: New
) -> None:
    for number in range(12):
        path = photos(home) / "Cats" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file_of(noise(300 + number)))
    printed = make("source=my phötos")
    assert "'Cats' has 12 files, of which test gets 2: too few" in printed
    assert "'cats' and 'Cats' differ in spelling alone" in printed
    assert "test has 26 files: of fewer than 30 no verdict is given" in printed
    shutil.rmtree(photos(home) / "Cats")
    for path in (photos(home) / "dögs").iterdir():
        path.write_bytes(file_of(noise(int(path.stem[4:]), height=30)))
    told = "heights and colours of the files alone tell 100% of the classes"
    assert told in make("source=my phötos", "replace=true")


def test_a_folder_is_not_written_to(home: Path, make: New) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos(home).rglob("*")}
    make("source=my phötos")
    assert {path: path.stat().st_mtime_ns for path in photos(home).rglob("*")} == before


def test_the_check_counts_what_misleads_and_writes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos(home) / "cats/empty.png").write_bytes(b"")
    before = sorted(home.rglob("*"))
    check_it = checker(home, home.parent, monkeypatch, capsys)
    *_, first, second, last = check_it("source=my phötos").splitlines()
    assert first.startswith("1. 1 of 121 files cannot be used (prepare stops at them; mend or")
    assert second.startswith("2. test has 24 files: of fewer than 30 no verdict is given")
    assert last == "2 findings"
    assert sorted(home.rglob("*")) == before


def test_sounds_are_told_by_their_seconds_and_rates(home: Path, make: New) -> None:
    for number in range(24):
        path = home.parent / "clips" / "ab"[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.random.default_rng(number).integers(-99, 99, 400 + 40 * number)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(1000)
            file.writeframes(drawn.astype("<i2").tobytes())
    printed = make("source=clips")
    cfg = compose(home, ["experiment=mine"])
    check(cfg)
    assert (cfg.data.rate, cfg.data.seconds) == (1000, 1.5)
    assert "0.4 to 1.3 s, 1,000 Hz" in printed
    assert list(cfg.baseline) == ["mean_spectrum", "mfcc_svm"]


@pytest.mark.parametrize(
    ("words", "task", "baseline"),
    [(["target=depth"], "Regression", "hog_ridge"), (["target=kind"], "Classification", "svm")],
)
def test_a_table_of_files_is_a_number_or_a_class_and_pins_both(
    home: Path, make: New, words: list[str], task: str, baseline: str
) -> None:
    path = table(home)
    make("source=labels.csv", "image=path", *words)
    cfg = compose(home, ["experiment=mine"])
    check(cfg)
    assert cfg.task._target_.endswith(task)
    assert next(iter(cfg.baseline)) == baseline
    assert cfg.data.sources.table.sha256 == sha256(path)
    assert cfg.data.sources.files.folder == str(photos(home))
    assert cfg.data.sources.files.sha256 == folder_digest(photos(home))


def test_images_that_no_row_names_are_refused_or_left_out(home: Path, make: New) -> None:
    table(home)
    (photos(home) / "new.png").write_bytes(file_of(noise(500)))
    with pytest.raises(UserError, match=r"has 1 file that labels\.csv does not name.*unnamed="):
        make("source=labels.csv", "image=path", "target=depth")
    printed = make("source=labels.csv", "image=path", "target=depth", "unnamed=leave_out")
    assert "120 files, of which all were opened" in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["source=mixed"], "holds 1 images and 1 sounds; move one kind"),
        (["source=my phötos/cats"], "has 80 files and no sub-folders, so nothing tells classes"),
        (["source=linked"], "a.png is a link to"),
        (["source=my phötos", "target=x"], "whose sub-folders are the classes; leave target= out"),
        (["source=my phötos", "sise=3"], "unknown option 'sise'. Did you mean 'size'"),
        (["source=my phötos", "size=big"], "data.size: expected"),
        (["source=texts"], "holds no image and no sound"),
        (["source=labels.csv", "image=path", "target=depht"], "Did you mean 'depth'?"),
        (["source=labels.csv", "image=path"], "target=... is missing"),
        (["source=labels.csv", "image=path", "target=depth", "folder=texts"], "lacks 120 of 120"),
        (["source=labels.csv", "image=path", "target=kind", "kind=ordered"], "data.kind: expected"),
    ],
)
def test_what_is_open_is_refused_with_what_settles_it_and_nothing_is_written(
    home: Path, make: New, words: list[str], told: str
) -> None:
    for name in ("mixed/a/1.png", "mixed/b/1.wav", "texts/a/1.txt"):
        (home.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (home.parent / name).touch()
    (home.parent / "linked/a").mkdir(parents=True)
    (home.parent / "linked/a/a.png").symlink_to(table(home))
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refused:
        make(*words)
    assert told in str(refused.value)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_a_folder_divided_into_train_and_test_is_refused_whatever_lies_beside_them(
    home: Path, make: New
) -> None:
    for name in ("train/cats/1.png", "train/dogs/2.png", "test/cats/3.png", "notes/4.png"):
        path = home.parent / "kaggle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_of(noise(int(path.stem))))
    (home.parent / "kaggle/README.txt").touch()
    with pytest.raises(UserError, match="has the sub-folders notes, test, train, which are no cl"):
        make("source=kaggle")


def test_names_with_accents_as_macos_writes_them_are_found(home: Path, make: New) -> None:
    path = table(home, path=[f"Bär {number:03}.png" for number in range(120)])
    for number in range(120):
        name = unicodedata.normalize("NFD", f"Bär {number:03}.png")
        (home.parent / "bears").mkdir(exist_ok=True)
        (home.parent / "bears" / name).write_bytes(file_of(noise(number)))
    printed = make(f"source={path.name}", "image=path", "target=depth", "folder=bears")
    assert "120 files, of which all were opened" in printed


def test_a_column_that_names_images_is_told_where_nobody_looks_into_them(
    home: Path, make: New
) -> None:
    path = table(home, width=[f"{number}.5" for number in range(120)])
    printed = make(f"source={path.name}", "target=depth")
    assert "'path' names images, which nothing looks into; image=path does" in printed


@pytest.mark.parametrize(
    ("words", "first", "told"),
    [
        (["image=path"], 7, "row 9 column path names '/etc/passwd', so all of / would be packed"),
        (["columns.path=image"], 7, "row 9 column path names '/etc/passwd', so all of / would"),
        (["image=path"], 0, "row 2 column path names '/etc/passwd', so all of / would be packed"),
    ],
)
def test_the_row_that_leads_out_of_the_folder_is_named(
    home: Path, make: New, words: list[str], first: int, told: str
) -> None:
    path = table(home)
    rows = pd.read_csv(path)
    rows.loc[[first, 50], "path"] = "/etc/passwd"
    rows.to_csv(path, index=False)
    with pytest.raises(UserError) as refused:
        make("source=labels.csv", "target=kind", *words)
    assert told in str(refused.value)
    assert "mend or drop that row, or put the files into a folder of their own" in str(
        refused.value
    )


def test_a_folder_whose_files_no_row_names_is_not_packed_for_a_stray_one(
    home: Path, make: New
) -> None:
    """As /tmp or /data is, where one path of a column leads there."""
    path, data = table(home), home.parent / "data"
    names = [data / name for name in pd.read_csv(path)["path"]]
    shutil.copytree(photos(home), data / photos(home).name)
    names[7] = names[7].rename(data / "stray.png")
    (data / "others").mkdir()
    for number in range(300):
        (data / f"others/{number}.txt").touch()
    path = table(home, path=list(map(str, names)))
    with pytest.raises(UserError, match="row 9 column path names ") as refused:
        make("source=labels.csv", "image=path", "target=kind")
    said = f"so all of {data} would be packed, most of whose files no row names; mend or drop"
    assert said in str(refused.value)
    assert str(refused.value).endswith(f"; or, where all of it is meant, folder={data}")
    meant = make("source=labels.csv", "image=path", "target=kind", f"folder={data}")
    assert "120 files" in meant


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["group=patient"], "different 'patient': of fewer than 30 no verdict is given; more of"),
        (["weight=people"], " files, by their weights worth "),
        (["target=tail"], "'tail' is skewed: skewness"),
    ],
)
def test_what_few_units_and_a_long_tail_cost_is_told_of_files_too(
    home: Path, make: New, words: list[str], told: str
) -> None:
    path = table(home)
    rows, number = pd.read_csv(path), np.arange(120)
    people = np.where(number % 5 == 0, 9000.0, 1.0)
    tail = np.exp(np.random.default_rng(0).normal(0, 1.5, 120)).round(3) + 0.001
    columns = {"patient": [f"p{each % 20}" for each in number], "people": people, "tail": tail}
    rows.assign(**columns).to_csv(path, index=False)
    goal = [] if any(word.startswith("target=") for word in words) else ["target=kind"]
    assert told in make("source=labels.csv", "image=path", *goal, *words)

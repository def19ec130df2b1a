"""A model of images answers a folder, an archive and a single file, each file by its name."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import tiny
from made_files import file_of, noise

from goodfit.errors import UserError
from goodfit.predictor import Predictor
from goodfit.system.archive import members

CASE = "images-colour"
SAMPLE = tiny.SAMPLES / "images.zip"


@pytest.fixture(scope="module")
def model(model_of: Callable[[str], Path]) -> Path:
    """The folder of a model of the sample."""
    return model_of(CASE)


def expected(model: Path) -> pd.DataFrame:
    """What the model says of the files of the sample, by their names."""
    names, contents = zip(*sorted(members(SAMPLE)), strict=True)
    rows = pd.DataFrame({"image": pd.Series(contents, dtype=object)})
    return Predictor.load(model).predict(rows).set_axis(list(names), axis=0)


def unpacked(folder: Path) -> Path:
    with zipfile.ZipFile(SAMPLE) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_each_file_is_answered_by_its_name(ask: Callable[..., int], model: Path, kind: str) -> None:
    given = unpacked(Path("my phötos")) if kind == "folder" else SAMPLE
    assert ask(str(given), "--out", "answers.csv") == 0
    got = pd.read_csv("answers.csv", dtype={"label": str}).set_index("file").sort_index()
    wanted = expected(model)
    assert list(got) == list(wanted)
    pd.testing.assert_frame_equal(got, wanted, check_names=False, rtol=1e-5, check_dtype=False)


def test_one_file_is_answered(ask: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.png").write_bytes(file_of(noise(1)))
    assert ask("x.png") == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.startswith("file,label,p_")
    assert line.startswith("x.png,")


@pytest.mark.fault(21)
def test_a_file_that_is_no_image_is_told_in_a_line_and_the_others_are_answered(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unpacked(Path("photos"))
    (folder / "shapes/disks/bad.png").write_bytes(b"")
    assert ask(str(folder), "--out", "answers.csv") == 3
    got = pd.read_csv("answers.csv").set_index("file")
    assert got["label"].isna().sum() == 1
    said = capsys.readouterr().err
    assert "photos, file shapes/disks/bad.png: is empty" in said


@pytest.mark.fault(21)
def test_a_file_of_another_format_than_its_name_says_is_refused_as_in_training(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unpacked(Path("photos"))
    (folder / "lie.jpg").write_bytes(file_of(noise(1)))
    assert ask(str(folder), "--out", "answers.csv") == 3
    assert pd.read_csv("answers.csv").set_index("file")["label"].isna().sum() == 1
    said = capsys.readouterr().err
    assert "photos, file lie.jpg: is PNG, though its name ends with '.jpg'" in said


def test_a_folder_with_a_link_that_leads_out_is_refused(ask: Callable[..., int]) -> None:
    folder = unpacked(Path("photos"))
    Path("secret.png").write_bytes(file_of(noise(1)))
    (folder / "out.png").symlink_to(Path("secret.png").resolve())
    with pytest.raises(UserError, match=r"out\.png is a link to"):
        ask(str(folder))


def test_a_model_of_rows_takes_no_folder(
    ask: Callable[..., int], tmp_path_factory: pytest.TempPathFactory, model: Path
) -> None:
    rows = tmp_path_factory.mktemp("rows") / "model"
    shutil.copytree(model, rows)
    spec = (rows / "spec.json").read_text()
    (rows / "spec.json").write_text(spec.replace("images.Images", "mnist.Mnist"))
    Path("photos").mkdir()
    with pytest.raises(UserError, match="takes rows, no files"):
        ask("photos", asked=f"model={rows}")

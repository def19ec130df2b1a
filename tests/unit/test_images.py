"""Any usual image becomes the pixels that a person sees; all that is none is listed at once."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_files import file_of, good, huge, images, noise, zipped
from PIL import Image

from goodfit.data.faults import CellsError
from goodfit.errors import UserError
from goodfit.records import Manifest
from goodfit.store.prepare import prepare

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [40, 40, 40]]], np.uint8)


def decoded(content: bytes, **options: object) -> np.ndarray:
    return images(size=2, **options).decode(content)


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("TIFF", {}), ("BMP", {}), ("PPM", {}), ("WEBP", {"lossless": True})],
)
def test_a_format_without_loss_gives_the_pixels_themselves(form: str, options: dict) -> None:
    assert decoded(file_of(COLOURS, form, **options)).tolist() == COLOURS.tolist()


def test_an_image_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: row 0 is the right side (EXIF 2.3, table 6)
    turned = np.rot90(COLOURS, -1)
    assert decoded(file_of(COLOURS, exif=exif)).tolist() == turned.tolist()


def test_what_is_transparent_is_white() -> None:
    clear = np.dstack([COLOURS, np.array([[255, 0], [255, 0]], np.uint8)])
    expected = COLOURS.copy()
    expected[:, 1] = 255
    assert decoded(file_of(clear)).tolist() == expected.tolist()


def test_a_palette_with_a_transparent_colour_is_white_there() -> None:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.putpixel((0, 0), 0)
    got = decoded(file_of(picture, transparency=0))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [200, 100, 50]


def test_sixteen_bits_become_eight_and_white_stays_white() -> None:
    grey = np.array([[0, 257], [32896, 65535]], np.uint16)
    got = decoded(file_of(grey), channels=1)
    assert got[..., 0].tolist() == [[0, 1], [128, 255]]


def test_a_grey_image_is_read_as_colour_and_a_coloured_one_as_grey() -> None:
    grey = np.array([[0, 80], [160, 255]], np.uint8)
    assert decoded(file_of(grey)).tolist() == np.dstack([grey] * 3).tolist()
    luma = np.round(COLOURS @ [0.299, 0.587, 0.114])  # ITU-R 601-2
    assert np.abs(decoded(file_of(COLOURS), channels=1)[..., 0] - luma).max() <= 1


def test_a_cmyk_photo_is_read() -> None:
    photo = Image.new("CMYK", (2, 2), (0, 0, 0, 0))
    assert decoded(file_of(photo, "JPEG")).min() > 250


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        ("pad", [[0, 0], [9, 9], [9, 9], [0, 0]]),
        ("crop", [[9, 9], [9, 9], [9, 9], [9, 9]]),
        ("stretch", [[9, 9], [9, 9], [9, 9], [9, 9]]),
    ],
)
def test_a_wide_image_is_made_square_by_the_rule(resize: str, expected: list) -> None:
    wide = np.full((4, 8, 3), 9, np.uint8)
    got = images(size=4, resize=resize).decode(file_of(wide))
    assert got[:, ::2, 0].tolist() == expected


def test_the_middle_is_what_crop_keeps() -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    assert images(size=4, resize="crop").decode(file_of(wide)).tolist() == wide[:, 2:6].tolist()


def planted() -> dict[str, bytes]:
    """Twelve good files and one of each fault."""
    photo = file_of(noise(99), "JPEG")
    frames = [Image.fromarray(noise(each)) for each in (97, 98)]
    return good(12) | {
        "a/empty.png": b"",
        "a/text.png": b"<html>not found</html>",
        "a/cut.png": file_of(noise(50))[:-80],
        "a/cut.jpg": photo[:-60],
        "b/huge.png": huge(),
        "b/photo.png": photo,
        "b/moving.gif": file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "b/copy.png": file_of(noise(1)),
        "b/other class.png": file_of(noise(0)),
        "loose.png": file_of(noise(51)),
        "a/notes.txt": b"my notes",
    }


FAULTS = {
    "a/empty.png": "is empty",
    "a/text.png": "is no image",
    "a/cut.png": "cannot be decoded",
    "a/cut.jpg": "cannot be decoded",
    "b/huge.png": "claims 144.0 megapixels; limit data.max_pixels=1000000",
    "b/photo.png": "is JPEG, though its name ends with '.png'",
    "b/moving.gif": "holds 2 images, expected one",
    "b/copy.png": "is equal to b/1.png",
    "b/other class.png": "is equal to a/0.png, of another class",
    "a/0.png": "is equal to b/other class.png, of another class",
    "loose.png": "lies in no sub-folder",
    "a/notes.txt": "is no image",
}


# Pillow warns of what is refused
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.fault(21)
def test_all_faulty_files_are_listed_in_one_table(tmp_path: Path) -> None:
    raw = zipped(planted(), tmp_path / "photos.zip")
    with pytest.raises(UserError) as error:
        prepare(images(), raw, tmp_path / "out", made_with={})
    first, *lines = str(error.value).splitlines()
    assert "photos.zip: 12 of 23 files (52 %) cannot be used" in first
    assert "data.faults=quarantine" in first
    told = {line[2:].split("  ")[0].strip(): line for line in lines}
    assert {name: problem in told[name] for name, problem in FAULTS.items()} == dict.fromkeys(
        FAULTS, True
    )
    assert len(told) == len(FAULTS)
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.fault(21)
def test_in_quarantine_the_good_files_are_prepared_and_the_others_are_in_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = zipped(planted(), tmp_path / "photos.zip")
    data = images(faults="quarantine", most_faults=0.6)
    manifest = prepare(data, raw, tmp_path / "out", made_with={})
    assert manifest.left_out.keys() == FAULTS.keys()
    assert sum(manifest.samples(split) for split in manifest.counts) == 11
    assert "12 of 23 files (52 %) are left out" in capsys.readouterr().out
    # what is left is what a folder without the others gives
    kept = {name: content for name, content in planted().items() if name not in FAULTS}
    alone = prepare(images(), zipped(kept, tmp_path / "good.zip"), tmp_path / "good", made_with={})
    assert alone.files["train/image.npy"] == manifest.files["train/image.npy"]
    assert Manifest.read(tmp_path / "out/manifest.json") == manifest


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.fault(21)
def test_quarantine_has_a_bound(tmp_path: Path) -> None:
    raw = zipped(planted(), tmp_path / "photos.zip")
    data = images(faults="quarantine", most_faults=0.1)
    with pytest.raises(UserError, match=r"more than data\.most_faults=0\.1 allows"):
        prepare(data, raw, tmp_path / "out", made_with={})


def test_folders_named_after_splits_are_no_classes(tmp_path: Path) -> None:
    files = {f"photos/{split}/cats/1.png": b"x" for split in ("train", "test")}
    with pytest.raises(UserError, match="has the sub-folders test, train, which are no classes"):
        images().read(zipped(files, tmp_path / "photos.zip"))


@pytest.mark.parametrize("around", ["", "photos/", "my/photos/"])
def test_a_class_is_the_outermost_folder_that_divides_the_files(
    tmp_path: Path, around: str
) -> None:
    files = {f"{around}{name}": b"x" for name in ("cats/1.png", "dogs/old/2.png", "readme.txt")}
    rows = images().read(zipped(files, tmp_path / "photos.zip"))
    assert list(rows["label"]) == ["cats", "dogs", ""]


def test_an_archive_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"photos\.zip holds no files"):
        images().read(zipped({}, tmp_path / "photos.zip"))


@pytest.fixture
def spec(tmp_path: Path) -> object:
    data, raw = images(), zipped(good(12), tmp_path / "photos.zip")
    rows = data.load(raw, data.read(raw))
    return data.fit_content(data.fit(rows), iter([rows.head(5), rows.tail(7)]))


def test_mean_and_deviation_are_those_of_all_pixels_of_train(tmp_path: Path) -> None:
    data, raw = images(), zipped(good(12), tmp_path / "photos.zip")
    rows = data.load(raw, data.read(raw))
    field = data.fit_content(data.fit(rows), iter([rows.head(5), rows.tail(7)])).inputs["image"]
    pixels = np.stack(list(rows["image"])).reshape(-1, 3).astype(float)
    np.testing.assert_allclose(field.mean, pixels.mean(0))
    np.testing.assert_allclose(field.std, pixels.std(0))


def test_in_use_a_file_its_base64_and_its_pixels_are_the_same_image(spec: object) -> None:
    content, pixels = file_of(noise(1)), noise(1)
    cells = [content, base64.b64encode(content).decode(), pixels, pixels.tolist()]
    got = images().encode(pd.DataFrame({"image": pd.Series(cells, dtype=object)}), spec)["image"]
    expected = images().decode(content).transpose(2, 0, 1)
    assert all(np.array_equal(image, expected) for image in got)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("/etc/passwd", "a path is not opened"),
        (b"GIF89a", "cannot be"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is no image"),
        (np.full((4, 4, 3), 0.5), "no whole numbers"),
        (np.zeros((2, 4, 4, 3)), "expected pixels"),
        (np.zeros((0, 4)), "expected pixels"),
        (3, "expected pixels"),
    ],
)
@pytest.mark.fault(21)
def test_in_use_what_is_no_image_is_refused_by_its_row(
    spec: object, cell: object, problem: str
) -> None:
    rows = pd.DataFrame({"image": pd.Series([file_of(noise(1)), cell], dtype=object)})
    with pytest.raises(CellsError) as error:
        images().encode(rows, spec)
    (fault,) = error.value.faults
    assert (fault.row, fault.column) == (2, "image")
    assert problem in fault.problem

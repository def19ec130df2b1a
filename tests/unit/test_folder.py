"""A folder of somebody's files becomes one archive, whose hash tells any change."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.schema import Source
from goodfit.store.fetch import fetch, raw_files
from goodfit.store.inbox import edited
from goodfit.system import folder
from goodfit.system.files import write_json


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space and an umlaut, outside of the current one."""
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    made = tmp_path / "my phötos"
    for name in ("cats/1.png", "cats/ü 2.png", "dogs/3.png"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(name.encode())
    return made


def source(path: Path, sha256: str | None = None) -> Source:
    return Source(folder=str(path), sha256=sha256 or folder.folder_digest(path))


def fetched(wanted: Source, experiment: str = "mine") -> Path:
    fetch({"files": wanted}, Paths(experiment).raw)
    return raw_files({"files": wanted}, Paths(experiment).raw)["files"]


def state(path: Path) -> dict[str, tuple[int, int]]:
    return {str(each): (each.stat().st_mtime_ns, each.stat().st_size) for each in path.rglob("*")}


def refusal(wanted: Source) -> str:
    with pytest.raises(UserError) as error:
        fetched(wanted)
    return str(error.value)


def test_a_folder_anywhere_becomes_an_archive_of_all_its_files(photos: Path) -> None:
    path = fetched(source(photos))
    assert path == Path("data/raw/mine/files/my phötos.zip")
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            name: name for name in ("cats/1.png", "cats/ü 2.png", "dogs/3.png")
        }


def test_how_much_is_packed_is_said_before(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "dogs/film.mov").write_bytes(bytes(2 * 10**6))
    fetched(source(photos))
    assert capsys.readouterr().out.startswith(f"packing {photos}: 4 files, 2.0 MB\n")


def test_the_folder_is_not_written_to(photos: Path) -> None:
    before = state(photos)
    fetched(source(photos))
    assert state(photos) == before


def test_the_hash_is_what_sha256sum_says(photos: Path) -> None:
    listed = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    said = subprocess.run(listed, shell=True, cwd=photos, capture_output=True, text=True)  # noqa: S602
    assert said.stdout.split()[0] == folder.folder_digest(photos)


def test_the_archive_has_the_hash_of_its_folder_and_equal_folders_equal_archives(
    photos: Path, tmp_path: Path
) -> None:
    first = fetched(source(photos))
    assert folder.archive_digest(first) == folder.folder_digest(photos)
    for path in photos.rglob("*.png"):
        os.utime(path, (0, 0))
    assert fetched(source(photos), "again").read_bytes() == first.read_bytes()


@pytest.mark.parametrize("change", ["content", "name", "new"])
def test_any_change_is_refused_with_both_hashes(photos: Path, change: str) -> None:
    pinned = source(photos)
    if change == "content":
        (photos / "cats/1.png").write_bytes(b"cats/1.pnG")
    elif change == "name":
        (photos / "cats/1.png").rename(photos / "dogs/1.png")
    else:
        (photos / "dogs/4.png").write_bytes(b"")
    said = refusal(pinned)
    assert f"SHA-256 {folder.folder_digest(photos)}, expected {pinned.sha256}" in said


def test_a_folder_without_a_pin_is_refused_with_its_hash(photos: Path) -> None:
    said = refusal(Source(folder=str(photos), sha256=None))
    assert f"SHA-256 {folder.folder_digest(photos)}, none is pinned" in said
    assert "data.sources.files.sha256" in said


def test_hidden_files_count_for_nothing(photos: Path) -> None:
    pinned = source(photos)
    for name in (".DS_Store", "cats/Thumbs.db", "__MACOSX/._1.png", ".git/config"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"x")
    with zipfile.ZipFile(fetched(pinned)) as archive:
        assert len(archive.namelist()) == 3


@pytest.mark.fault(21)
def test_a_link_that_leads_out_is_refused_and_nothing_behind_it_is_read(photos: Path) -> None:
    secret = photos.parent / "secret"
    secret.mkdir()
    (secret / "key.png").write_bytes(b"key")
    pinned = source(photos)
    (photos / "cats/key.png").symlink_to(secret / "key.png")
    (photos / "birds").symlink_to(secret)
    (photos / "cats/gone.png").symlink_to(photos / "nothing")
    said = refusal(pinned)
    assert f"cats/key.png is a link to {secret / 'key.png'}, outside of the folder" in said
    assert "birds is a link to a folder" in said
    assert "cats/gone.png is a link to nothing" in said
    assert not list(Path("data").rglob("*.zip"))


def test_a_link_within_the_folder_is_the_file_that_it_leads_to(photos: Path) -> None:
    (photos / "dogs/1.png").symlink_to("../cats/1.png")
    with zipfile.ZipFile(fetched(source(photos))) as archive:
        assert archive.read("dogs/1.png") == b"cats/1.png"


def test_a_pipe_in_a_folder_is_refused_and_not_read(photos: Path) -> None:
    pinned = source(photos)
    os.mkfifo(photos / "cats/pipe.png")
    assert "cats/pipe.png is no regular file" in refusal(pinned)


def test_a_folder_may_itself_be_a_link_and_end_with_a_slash(photos: Path) -> None:
    link = photos.parent / "photos"
    link.symlink_to(photos)
    assert folder.folder_digest(link) == folder.folder_digest(photos)
    assert Source(folder=f"{link}/", sha256=None).filename == "photos.zip"


def test_what_another_experiment_fetched_serves_where_the_folder_is_gone(photos: Path) -> None:
    pinned = source(photos)
    fetched(pinned)
    photos.rename(photos.parent / "elsewhere")
    assert fetched(pinned, "another").exists()


def test_a_folder_that_was_edited_since_is_told(photos: Path) -> None:
    pinned = source(photos)
    fetched(pinned)
    entry = {"folder": str(photos), "sha256": pinned.sha256}
    write_json(Paths("mine").config, {"data": {"sources": {"files": entry}}})
    assert list(edited("mine")) == []
    (photos / "dogs/4.png").write_bytes(b"4")
    (line,) = edited("mine")
    assert f"data.sources.files.sha256={folder.folder_digest(photos)}" in line

"""Archives of every kind give the same members; a broken one gives a line, and never fewer."""

from __future__ import annotations

import gzip
import importlib.util
import io
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from goodfit.errors import UserError
from goodfit.system.archive import member, members

# larger than the blocks in which a tar is written, of such a block exactly, empty, of an odd size
FILES = {
    "usr/share/words.txt": bytes(range(256)) * 300,
    "usr/share/block.bin": b"b" * 512,
    "usr/empty": b"",
    "readme": b"odd",
}


def packed_tar(mode: str = "w", files: dict[str, bytes] = FILES, *, before: str = "") -> bytes:
    """A tar with a folder and these files, their names behind `before`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        folder = tarfile.TarInfo(f"{before}usr")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(before + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def packed_zip(files: dict[str, bytes] = FILES) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("usr")
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def packed_deb(data: bytes, suffix: str) -> bytes:
    """A Debian package by hand, as deb(5) describes it; its first member has an odd size."""
    control = packed_tar("w:gz", {"control": b"Package: made\n"})
    parts = {
        "debian-binary": b"2.0\n\n",
        "control.tar.gz": control,
        f"data.tar{suffix}": data,
        "_gpgorigin": b"not a member of the package",
    }
    package = b"!<arch>\n"
    for name, content in parts.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        package += header + content + b"\n" * (len(content) % 2)
    return package


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "x.whl": packed_zip,
    "x.tar": packed_tar,
    "x.tgz": lambda: packed_tar("w:gz"),
    "x.tar.xz": lambda: packed_tar("w:xz"),
    "x.tar.bz2": lambda: packed_tar("w:bz2"),
    "plain.deb": lambda: packed_deb(packed_tar(before="./"), ""),
    "gzip.deb": lambda: packed_deb(packed_tar("w:gz", before="./"), ".gz"),
    "xz.deb": lambda: packed_deb(packed_tar("w:xz", before="./"), ".xz"),
}
every_archive = pytest.mark.parametrize("name", ARCHIVES)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        list(members(path))
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@every_archive
def test_the_members_of_every_kind_are_the_files_in_their_order(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ARCHIVES[name]())
    assert list(members(path)) == list(FILES.items())
    assert sorted(tmp_path.iterdir()) == [path]


@every_archive
def test_one_member_is_read_by_its_name(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ARCHIVES[name]())
    assert member(path, "usr/share/block.bin") == b"b" * 512


@every_archive
def test_the_kind_is_known_by_the_content(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "data", ARCHIVES[name]())
    assert dict(members(path)) == FILES


@every_archive
def test_a_missing_member_is_refused_with_the_nearest(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ARCHIVES[name]())
    with pytest.raises(UserError) as error:
        member(path, "share/words.txt")
    expected = f"{name} lacks the member 'share/words.txt'; nearest: usr/share/words.txt"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (FILES, "nearest: usr/share/words.txt"),
        ({"a": b"", "b": b""}, "it has 2, such as a, b"),
        ({}, "it is empty"),
    ],
)
def test_a_name_like_none_is_refused_with_what_there_is(
    files: dict[str, bytes], hint: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "x.tar", packed_tar(files=files))
    with pytest.raises(UserError, match=f"lacks the member 'usr/share/wrds.txt'; {hint}$"):
        member(path, "usr/share/wrds.txt")


@pytest.mark.fault(22)
@every_archive
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_cut_archive_is_refused_in_a_line(name: str, part: float, tmp_path: Path) -> None:
    content = ARCHIVES[name]()
    path = write(tmp_path, name, content[: int(len(content) * part)])
    assert refusal(path).startswith(f"{name} cannot be read as an archive: ")


@pytest.mark.fault(22)
def test_a_tar_that_was_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    """tarfile itself takes it for a whole one with fewer members."""
    whole = packed_tar()
    second = whole.index(b"usr/share/block.bin\0")
    path = write(tmp_path, "x.tar", whole[:second])
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["usr", "usr/share/words.txt"]
    assert "cannot be read as an archive: " in refusal(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_a_tar_with_a_broken_header_in_the_middle_is_refused(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    content = packed_tar().replace(b"usr/empty\0", b"Xsr/empty\0")
    path = write(tmp_path, "x.tar", compress(content))
    assert "cannot be read as an archive: bad checksum" in refusal(path)


def test_a_flipped_byte_in_a_compressed_tar_is_known_at_its_end(tmp_path: Path) -> None:
    """The content is stored, so that only the checksum of gzip tells."""
    content = bytearray(gzip.compress(packed_tar(), compresslevel=0))
    content[content.index(b"b" * 512) + 5] ^= 1
    assert "CRC check failed" in refusal(write(tmp_path, "x.tgz", bytes(content)))


def test_a_flipped_byte_in_a_wheel_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x", b"content")
    content = bytearray(stream.getvalue())
    content[content.index(b"content")] ^= 1
    path = write(tmp_path, "x.whl", bytes(content))
    assert refusal(path) == (
        "x.whl cannot be read as an archive: Bad CRC-32 for file 'x'; fetch it again"
    )


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"x" * 2000, b"!<arch>\n", b"PK\x03\x04", b"\x1f\x8b", b"BZh9"]
)
def test_what_is_no_archive_is_refused_in_a_line(content: bytes, tmp_path: Path) -> None:
    assert "cannot be read as an archive: " in refusal(write(tmp_path, "x.csv", content))


def test_a_file_that_is_not_there_is_refused_in_a_line(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "x.whl")


def test_a_debian_package_without_files_is_refused(tmp_path: Path) -> None:
    package = packed_deb(b"", "").replace(b"data.tar", b"other.it")
    assert "it has no data.tar" in refusal(write(tmp_path, "x.deb", package))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_no_file_and_is_named_with_its_target(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        real, link = tarfile.TarInfo("real"), tarfile.TarInfo("link")
        real.size = 3
        link.type, link.linkname = kind, "real"
        archive.addfile(real, io.BytesIO(b"abc"))
        archive.addfile(link)
    assert dict(members(path)) == {"real": b"abc"}
    with pytest.raises(UserError, match=r"x\.tar: 'link' is a link to 'real'; name that file"):
        member(path, "link")


def test_zstandard_is_read_where_a_library_is_and_named_where_none_is(tmp_path: Path) -> None:
    pack = shutil.which("zstd")
    if pack is None:
        path = write(tmp_path, "x.tar.zst", b"\x28\xb5\x2f\xfd")
    else:
        packed = subprocess.run([pack, "-c"], input=packed_tar(), capture_output=True, check=True)
        path = write(tmp_path, "x.tar.zst", packed.stdout)
    names = ("zstandard", "backports", "compression")
    if all(importlib.util.find_spec(name) is None for name in names):
        assert "`pip install zstandard`" in refusal(path)
    elif pack is not None:
        assert dict(members(path)) == FILES


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb")
@pytest.mark.parametrize("compression", ["gzip", "xz", "none"])
def test_a_package_that_debians_own_tool_made_is_read(compression: str, tmp_path: Path) -> None:
    root = tmp_path / "made"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: made\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: made\n"
    )
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    package = tmp_path / "made.deb"
    options = ["--root-owner-group", f"-Z{compression}"]
    subprocess.run(
        ["dpkg-deb", *options, "--build", root, package], capture_output=True, check=True
    )
    assert dict(members(package)) == FILES
